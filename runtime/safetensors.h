#ifndef GX_SAFETENSORS_H
#define GX_SAFETENSORS_H
/* Arrays in safetensors files, for the programs around a step: the one part of the runtime that
 * allocates and does I/O. Errors are returned as text that ends a sentence about the file.
 *
 * The format: the length of a header in 8 bytes, the header in JSON (for every name dtype, shape and
 * the begin and end of its bytes after the header), the bytes. Everything is little-endian, and so
 * must the processor be.
 *
 * SPDX-License-Identifier: MIT-0 */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "safetensors files are read on little-endian processors only"
#endif

/* Axes of an array at most. */
#define GX_TENSOR_AXES 16

/* An array: its name (UTF-8), its element type as the format calls it ("F32"), its shape. `bytes` is
 * its size, `data` the memory that it is read into or written from. */
typedef struct {
  const char *name, *dtype;
  int axes;
  int64_t shape[GX_TENSOR_AXES];
  uint64_t bytes;
  void *data;
} gx_tensor;

/* The rest of a JSON text. */
typedef struct {
  const char *at, *end;
} gx_json;

/* Whether the next character but spaces is c; then it is passed. */
static inline int gx_json_take(gx_json *j, char c) {
  while (j->at < j->end && (*j->at == ' ' || *j->at == '\t' || *j->at == '\n' || *j->at == '\r'))
    j->at++;
  if (j->at == j->end || *j->at != c)
    return 0;
  j->at++;
  return 1;
}

/* A number of `digits` hexadecimal digits, or -1. */
static inline long gx_json_hex(gx_json *j, int digits) {
  long value = 0;
  for (; digits > 0; digits--) {
    if (j->at == j->end)
      return -1;
    const char c = *j->at++;
    const int digit = c >= '0' && c <= '9'   ? c - '0'
                      : c >= 'a' && c <= 'f' ? c - 'a' + 10
                      : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                             : -1;
    if (digit < 0)
      return -1;
    value = 16 * value + digit;
  }
  return value;
}

/* The next character of a string whose opening quote is passed, as 1 to 4 bytes of UTF-8. Returns
 * their number, 0 at the closing quote, -1 for what is no string. */
static inline int gx_json_character(gx_json *j, char out[4]) {
  if (j->at == j->end)
    return -1;
  out[0] = *j->at++;
  if (out[0] == '"')
    return 0;
  if (out[0] != '\\')
    return 1;
  if (j->at == j->end)
    return -1;
  const char kind = *j->at++;
  const char *from = "\"\\/bfnrt", *to = "\"\\/\b\f\n\r\t", *found = strchr(from, kind);
  if (kind != 'u') {
    if (!kind || !found)
      return -1;
    out[0] = to[found - from];
    return 1;
  }
  long code = gx_json_hex(j, 4);
  if (code >= 0xD800 && code < 0xDC00) { /* the first of a pair that stands for one character */
    if (j->end - j->at < 6 || j->at[0] != '\\' || j->at[1] != 'u')
      return -1;
    j->at += 2;
    const long low = gx_json_hex(j, 4);
    if (low < 0xDC00 || low > 0xDFFF)
      return -1;
    code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
  }
  if (code < 0)
    return -1;
  const int bytes = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  for (int k = bytes - 1; k > 0; k--, code >>= 6) out[k] = (char)(0x80 | (code & 0x3F));
  out[0] = (char)(bytes == 1 ? code : ((0xF00 >> bytes) & 0xFF) | code);
  return bytes;
}

/* Passes a string. Returns 1 if it is `text`, 0 if it is another, -1 for what is no string. */
static inline int gx_json_string(gx_json *j, const char *text) {
  int same = 1, bytes;
  char part[4];
  if (!gx_json_take(j, '"'))
    return -1;
  while ((bytes = gx_json_character(j, part)) > 0) {
    same = same && strncmp(text, part, (size_t)bytes) == 0;
    text += same ? bytes : 0;
  }
  return bytes < 0 ? -1 : same && !*text;
}

/* Passes a number without sign. Returns 1, or 0 for what is none or too large. */
static inline int gx_json_number(gx_json *j, uint64_t *value) {
  int digits = 0;
  *value = 0;
  gx_json_take(j, ' ');
  for (; j->at < j->end && *j->at >= '0' && *j->at <= '9'; j->at++, digits++) {
    if (*value > (UINT64_MAX - 9) / 10)
      return 0;
    *value = 10 * *value + (uint64_t)(*j->at - '0');
  }
  return digits > 0;
}

/* Passes an object or array, strings inside it included. Returns 1, or 0 if it does not end. */
static inline int gx_json_skip(gx_json *j) {
  int depth = 0;
  do {
    gx_json_take(j, ' ');
    if (j->at == j->end)
      return 0;
    if (*j->at == '"') {
      if (gx_json_string(j, "") < 0)
        return 0;
      continue;
    }
    depth += (*j->at == '{' || *j->at == '[') - (*j->at == '}' || *j->at == ']');
    j->at++;
  } while (depth > 0);
  return 1;
}

/* A file that is open for reading, with its header. */
typedef struct {
  FILE *file;
  char *header;
  uint64_t length, size;
} gx_tensor_file;

static inline void gx_tensors_close(gx_tensor_file *f) {
  if (f->file)
    fclose(f->file);
  free(f->header);
  *f = (gx_tensor_file){0};
}

/* Opens a file and reads its header. Returns NULL, or what is wrong and nothing is open. */
static inline const char *gx_tensors_open(gx_tensor_file *f, const char *path) {
  unsigned char length[8];
  *f = (gx_tensor_file){0};
  f->file = fopen(path, "rb");
  if (!f->file)
    return "cannot be opened";
  if (fread(length, 1, 8, f->file) == 8)
    for (int k = 7; k >= 0; k--) f->length = f->length << 8 | length[k];
  if (f->length > 0 && f->length < 100u << 20)
    f->header = malloc((size_t)f->length);
  if (!f->header || fread(f->header, 1, (size_t)f->length, f->file) != f->length) {
    gx_tensors_close(f);
    return "is not a safetensors file";
  }
  return NULL;
}

/* The fields of an entry, behind its name: into t go shape and bytes, into *begin where its bytes
 * begin in the file. Returns 1, or 0 for what is malformed or of another dtype. */
static inline int gx_tensors_entry(gx_json *j, gx_tensor *t, uint64_t *begin) {
  int seen = 0;
  if (!gx_json_take(j, ':') || !gx_json_take(j, '{'))
    return 0;
  do {
    gx_json name = *j;
    uint64_t number;
    if (gx_json_string(j, "dtype") < 0 || !gx_json_take(j, ':'))
      return 0;
    gx_json again = name;
    if (gx_json_string(&name, "dtype") == 1) {
      if (gx_json_string(j, t->dtype) != 1)
        return 0;
      seen |= 1;
    } else if (gx_json_string(&again, "shape") == 1) {
      t->axes = 0;
      if (!gx_json_take(j, '['))
        return 0;
      while (!gx_json_take(j, ']')) {
        if (t->axes == GX_TENSOR_AXES || (t->axes > 0 && !gx_json_take(j, ',')) ||
            !gx_json_number(j, &number) || number > INT64_MAX)
          return 0;
        t->shape[t->axes++] = (int64_t)number;
      }
      seen |= 2;
    } else {
      if (!gx_json_take(j, '[') || !gx_json_number(j, begin) || !gx_json_take(j, ',') ||
          !gx_json_number(j, &number) || !gx_json_take(j, ']') || number < *begin)
        return 0;
      t->bytes = number - *begin;
      seen |= 4;
    }
  } while (gx_json_take(j, ','));
  return seen == 7 && gx_json_take(j, '}');
}

/* Finds the array of t's name and dtype: fills in shape and bytes, and places the file at its first
 * byte. Returns NULL, or what is wrong. */
static inline const char *gx_tensors_find(gx_tensor_file *f, gx_tensor *t) {
  gx_json j = {f->header, f->header + f->length};
  if (!gx_json_take(&j, '{'))
    return "has no header";
  do {
    const int same = gx_json_string(&j, t->name);
    uint64_t begin = 0;
    if (same < 0)
      return "has a damaged header";
    if (same) {
      if (!gx_tensors_entry(&j, t, &begin))
        return "holds it with another dtype";
      if (fseek(f->file, (long)(8 + f->length + begin), SEEK_SET))
        return "ends too early";
      return NULL;
    }
    if (!gx_json_take(&j, ':') || !gx_json_skip(&j))
      return "has a damaged header";
  } while (gx_json_take(&j, ','));
  return "does not hold it";
}

/* Reads arrays, each into its `data`; all must be in the file with exactly their types. Returns
 * NULL, or what is wrong with the array *wrong (or, if that is `count`, with the file). */
static inline const char *gx_tensors_load(const char *path, const gx_tensor *tensors, size_t count,
                                          size_t *wrong) {
  gx_tensor_file f;
  *wrong = count;
  const char *error = gx_tensors_open(&f, path);
  for (size_t k = 0; k < count && !error; k++) {
    gx_tensor found = tensors[k];
    *wrong = k;
    error = gx_tensors_find(&f, &found);
    if (!error && (found.axes != tensors[k].axes || found.bytes != tensors[k].bytes ||
                   memcmp(found.shape, tensors[k].shape, sizeof(int64_t) * (size_t)found.axes)))
      error = "holds it with another shape";
    if (!error && fread(found.data, 1, (size_t)found.bytes, f.file) != found.bytes)
      error = "ends too early";
  }
  gx_tensors_close(&f);
  return error;
}

/* Writes a string of JSON. */
static inline void gx_json_write(FILE *file, const char *text) {
  putc('"', file);
  for (; *text; text++) {
    const unsigned char c = (unsigned char)*text;
    if (c < 32)
      fprintf(file, "\\u%04x", c);
    else if (c == '"' || c == '\\')
      fprintf(file, "\\%c", c);
    else
      putc(c, file);
  }
  putc('"', file);
}

/* The header of a file. */
static inline void gx_tensors_header(FILE *file, const gx_tensor *tensors, size_t count) {
  uint64_t end = 0;
  putc('{', file);
  for (size_t k = 0; k < count; k++) {
    const gx_tensor *t = &tensors[k];
    fputs(k ? "," : "", file);
    gx_json_write(file, t->name);
    fprintf(file, ":{\"dtype\":\"%s\",\"shape\":[", t->dtype);
    for (int a = 0; a < t->axes; a++)
      fprintf(file, "%s%lld", a ? "," : "", (long long)t->shape[a]);
    fprintf(file, "],\"data_offsets\":[%llu,%llu]}", (unsigned long long)end,
            (unsigned long long)(end + t->bytes));
    end += t->bytes;
  }
  putc('}', file);
}

/* Writes arrays to a file, which has its name only when it is complete: until then it is called
 * `partial`. Returns NULL, or what is wrong. The header's length is known once it is written. */
static inline const char *gx_tensors_save(const char *path, const char *partial,
                                          const gx_tensor *tensors, size_t count) {
  FILE *file = fopen(partial, "wb");
  if (!file)
    return "cannot be written";
  for (int k = 0; k < 8; k++) putc(0, file);
  gx_tensors_header(file, tensors, count);
  long end = ftell(file);
  for (; end % 8 != 0; end++) putc(' ', file);
  int failed = end < 8;
  for (size_t k = 0; k < count; k++)
    failed |= fwrite(tensors[k].data, 1, (size_t)tensors[k].bytes, file) != tensors[k].bytes;
  failed |= fseek(file, 0, SEEK_SET) != 0;
  for (int k = 0; k < 8; k++) putc((int)((uint64_t)(end - 8) >> 8 * k & 255), file);
  failed |= ferror(file);
  failed |= fclose(file);
  if (failed || rename(partial, path) != 0) {
    remove(partial);
    return "cannot be written";
  }
  return NULL;
}

#endif
