"""Names that users look for and that graphc does not have: why, or which name it has instead."""

from __future__ import annotations

from graphc.ir.site import located

_DATA = "its result's shape depends on data, and shapes are static"
_COMPLEX = "there are no complex dtypes"
_FACTORS = (
    "it needs eigenvalues, singular values or an orthogonal factor; the factorizations that are "
    "there are cholesky, solve, inv, det, slogdet and triangular_solve"
)
_PLACE = "a tensor is never changed in place; write y = x.at[index].set(values)"
_ARRAY = "it needs the data itself; return the tensor from the step"
_DTYPE = "dtypes are bool, uint8, uint32, int32, int64, float32 and float64"

#: Why functions and dtypes of the Array API standard and of NumPy are not there.
ABSENT = {
    "angle": _COMPLEX,
    "apply_along_axis": "write gx.vmap(function, in_axes=..., out_axes=...)",
    "apply_over_axes": "write a loop over the axes",
    "argpartition": "write argsort or top_k",
    "argwhere": _DATA,
    "array2string": _ARRAY,
    "array_repr": _ARRAY,
    "array_str": _ARRAY,
    "bincount": _DATA + "; for a known length: zeros(length).at[x].add(weights)",
    "complex64": _COMPLEX,
    "complex128": _COMPLEX,
    "compress": _DATA,
    "copyto": _PLACE,
    "conj": _COMPLEX + "; a real tensor is its own conjugate",
    "cond": _FACTORS,
    "eig": _COMPLEX,
    "eigh": _FACTORS,
    "eigvals": _COMPLEX,
    "eigvalsh": _FACTORS,
    "extract": _DATA,
    "fill_diagonal": _PLACE,
    "fft": "there are no complex dtypes, which spectra are made of",
    "flatnonzero": _DATA,
    "from_dlpack": "a graph holds no data; pass the array to the traced function, or asarray(x)",
    "imag": _COMPLEX,
    "histogram": _DATA + "; for given edges: sum a comparison with each of them",
    "int8": _DTYPE,
    "int16": _DTYPE,
    "intersect1d": _DATA,
    "lstsq": _FACTORS + "; of full rank: solve(a.mT @ a, a.mT @ b)",
    "matrix_rank": _FACTORS,
    "nonzero": _DATA,
    "piecewise": "write where, or select",
    "pinv": _FACTORS + "; of full rank: solve(a.mT @ a, a.mT)",
    "place": _PLACE,
    "put": _PLACE,
    "put_along_axis": _PLACE,
    "putmask": _PLACE,
    "qr": _FACTORS,
    "real": _COMPLEX + "; a real tensor is its own real part",
    "roots": _COMPLEX,
    "save": _ARRAY,
    "savetxt": _ARRAY,
    "savez": _ARRAY,
    "savez_compressed": _ARRAY,
    "setdiff1d": _DATA,
    "setxor1d": _DATA,
    "svd": _FACTORS,
    "svdvals": _FACTORS,
    "trim_zeros": _DATA,
    "uint16": _DTYPE,
    "uint64": _DTYPE,
    "union1d": _DATA,
    "unique": _DATA,
    "unique_all": _DATA,
    "unique_counts": _DATA,
    "unique_inverse": _DATA,
    "unique_values": _DATA,
}

#: Names of NumPy that differ from the Array API's.
INSTEAD = {
    "absolute": "abs",
    "amax": "max",
    "amin": "min",
    "arccos": "acos",
    "arccosh": "acosh",
    "arcsin": "asin",
    "arcsinh": "asinh",
    "arctan": "atan",
    "arctan2": "atan2",
    "arctanh": "atanh",
    "bitwise_not": "bitwise_invert",
    "concatenate": "concat",
    "cumprod": "cumulative_prod",
    "cumsum": "cumulative_sum",
    "fabs": "abs",
    "invert": "bitwise_invert",
    "left_shift": "bitwise_left_shift",
    "mod": "remainder",
    "power": "pow",
    "right_shift": "bitwise_right_shift",
    "rint": "round",
    "transpose": "permute_dims",
    "true_divide": "divide",
}


def reason(name: str) -> str | None:
    """Why a name is not there, or what to write instead."""
    return ABSENT.get(name) or (f"write gx.{INSTEAD[name]}" if name in INSTEAD else None)


def missing(module: str, name: str) -> AttributeError:
    """The error of a module that is asked for a name which it does not have."""
    why = reason(name)
    return AttributeError(
        located(f"{module} has no {name!r}{f': {why}' if why else ''}"), name=name
    )
