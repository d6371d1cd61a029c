#ifndef GX_MATH_H
#define GX_MATH_H
/* The scalar mathematics of generated code, all of it. (Not called math.h: with this directory on
 * the include path it would hide the C library's.)
 *
 * SPDX-License-Identifier: MIT-0 */

#include "math_arc.h"
#include "math_basic.h"
#include "math_cast.h"
#include "math_erf.h"
#include "math_exp.h"
#include "math_gamma.h"
#include "math_hyperbolic.h"
#include "math_int.h"
#include "math_log.h"
#include "math_pow.h"
#include "math_trig.h"

#endif
