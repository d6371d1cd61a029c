"""What of the Python Array API standard is there, and why the rest is not.

`graphc.compat.coverage()` compares the standard's list of names with the namespaces.
"""

from __future__ import annotations

from dataclasses import dataclass

from graphc.functions.absent import ABSENT

#: The names of version 2024.12 of the standard: functions, constants and dtypes.
STANDARD = {
    "": """
    __array_namespace_info__ abs acos acosh add all any arange argmax argmin argsort asarray
    asin asinh astype atan atan2 atanh bitwise_and bitwise_invert bitwise_left_shift bitwise_or
    bitwise_right_shift bitwise_xor bool broadcast_arrays broadcast_to can_cast ceil clip
    complex128 complex64 concat conj copysign cos cosh count_nonzero cumulative_prod
    cumulative_sum diff divide e empty empty_like equal exp expand_dims expm1 eye finfo flip
    float32 float64 floor floor_divide from_dlpack full full_like greater greater_equal hypot
    iinfo imag inf int16 int32 int64 int8 isdtype isfinite isinf isnan less less_equal linspace
    log log10 log1p log2 logaddexp logical_and logical_not logical_or logical_xor matmul
    matrix_transpose max maximum mean meshgrid min minimum moveaxis multiply nan negative
    newaxis nextafter nonzero not_equal ones ones_like permute_dims pi positive pow prod real
    reciprocal remainder repeat reshape result_type roll round searchsorted sign signbit sin
    sinh sort sqrt square squeeze stack std subtract sum take take_along_axis tan tanh tensordot
    tile tril triu trunc uint16 uint32 uint64 uint8 unique_all unique_counts unique_inverse
    unique_values unstack var vecdot where zeros zeros_like
    """,
    "linalg": """
    cholesky cross det diagonal eigh eigvalsh inv matmul matrix_norm matrix_power matrix_rank
    matrix_transpose outer pinv qr slogdet solve svd svdvals tensordot trace vecdot vector_norm
    """,
    "fft": """
    fft fftfreq fftn fftshift hfft ifft ifftn ifftshift ihfft irfft irfftn rfft rfftfreq rfftn
    """,
}


@dataclass(frozen=True)
class Coverage:
    """Names of the standard, those of extensions as `linalg.det`: what is `offered`, and what is
    `absent`, with the reason. Prints as a table.
    """

    offered: tuple[str, ...]
    absent: dict[str, str]

    def __str__(self) -> str:
        total = len(self.offered) + len(self.absent)
        width = max(map(len, self.absent))
        lines = [f"{len(self.offered)} of the {total} names of the Array API are offered; not:"]
        lines += [f"  {name:{width}}  {why}" for name, why in self.absent.items()]
        return "\n".join(lines)


def coverage() -> Coverage:
    """Which names of the Array API standard (2024.12) graphc has, and why it lacks the others."""
    import graphc

    offered: list[str] = []
    absent: dict[str, str] = {}
    for extension, names in STANDARD.items():
        space = getattr(graphc, extension, None) if extension else graphc
        for name in names.split():
            shown = f"{extension}.{name}" if extension else name
            if hasattr(space, name):
                offered.append(shown)
            else:
                absent[shown] = ABSENT[extension if space is None else name]
    return Coverage(tuple(offered), absent)
