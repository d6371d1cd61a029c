"""Names that are no names: what has broken compilers, shells, pages and file systems."""

from __future__ import annotations

NAMES: tuple[str, ...] = (
    # C: keywords, library functions, macros, the compiler's own words.
    "int", "asm", "__asm__", "main", "restrict", "inline", "_Bool", "NULL", "errno", "linux",
    "unix", "I", "signal", "malloc", "memcpy", "__attribute__((constructor))", "__LINE__",
    "_Pragma", "arena", "x0", "y0", "t", "gx_thread", "graphc_step", "k00_add", "GX_EXPORT",
    "s0", "i0", "in", "out",
    # The ends of comments and strings, trigraphs, digraphs, line splices, directives.
    "*/", "/*", "*/ int main(void) { return 1; } /*", "//", "a // b", "\\", "\\\n*/", "*\\\n/",
    "??/", "??/\n*/", "%:include <stdio.h>", "#include \"/etc/passwd\"", "\n#error here\n",
    "\r\n#error\r\n", "\n# 1 \"/etc/passwd\"", '"', '"; system("touch owned"); "', "'", "'\\''",
    "%s%n%n%n", "{0}", "%", "\x00", "a\x00b", "\x1b[31mred\x1b[0m", "\x07", "\x7f", "\t", "\v",
    "\f", " ", "", "\u2028", "\u2029",
    # Shells and files.
    "$(touch owned)", "`touch owned`", "; rm -rf ~", "| cat", "&& true", "-o", "-fplugin=x.so",
    "~", "../../a", "/etc/passwd", "..", ".", "con", "nul.c", "a/b", "a\\b", "C:\\x",
    "x" * 10_000, "*?[a]",
    # Pages.
    "<script>alert(1)</script>", "</script><script>alert(1)</script>", "<!--", "-->",
    "<![CDATA[", "<img src=x onerror=alert(1)>", "</style>", "javascript:alert(1)", "&lt;b&gt;",
    "\"><b>", "{{7*7}}",
    # Unicode: two that are written alike, right to left, no character at all, outside the plane.
    "é", "e\u0301", "\u202eevil", "\u200b", "\ufeff", "𝕏", "a b", "a_b", "A_B",
    # Reports about other tools: text that turns around, continued comments, lines that a reader of
    # C or of a page sees and another does not, characters that cannot be written.
    "\u2066 */ \u2069 /*", "a\u202e*/ if (admin) /*\u2069", "\\\r\n*/", "\\ \n*/", "// \\",
    "\x85*/",
    "\x1a", "\x08\x08", "\\u002a\\u002f", "\\x2a/", "??=include \"x\"", "??)", "<: :>", "%:%:",
    "\ud800",
    "a\udfffb", "\ufffe", "\U0010ffff",
    "*/ __attribute__((constructor)) void f(void) { system(\"touch owned\"); } /*",
    "#pragma GCC poison x", "__VA_ARGS__", "defined(x)", "__COUNTER__", 'R"(', "0x1p-1", "-1",
    "1e999",
    # Python, JavaScript, spreadsheets, templates, logs.
    "__import__('os').system('touch owned')", '"""', "'''", "%(name)s", "{x!r}", "lambda", "None",
    "__class__", "__proto__", "constructor", "toString", "=cmd|' /C touch owned'!A0", "@SUM(1)",
    "+1",
    "${jndi:ldap://x}", "<svg onload=alert(1)>", "<a href=javascript:alert(1)>", "</textarea>",
    "</title>", "&#x3c;script&#x3e;", "\u003cscript\u003e", "]]>", "' OR 1=1 --",
    # Names of files that a system keeps for itself, or cannot have.
    "AUX", "COM1.txt", "LPT9", "PRN ", "a.", "y" * 255, "y" * 256, ".bashrc", "~root", "file:///x",
)  # fmt: skip
