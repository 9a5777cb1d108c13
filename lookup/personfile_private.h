/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_LOOKUP_PERSONFILE_PRIVATE_H
#define BD_LOOKUP_PERSONFILE_PRIVATE_H

/* What the two readers of import files share: the buffered file and its line numbers. */

#include <stdbool.h>

#include "common/buf.h"
#include "lookup/personfile.h"

#define PERSONFILE_BLOCK_BYTES 65536
#define PERSONFILE_PERSON_MAX_BYTES ((size_t)256 << 10)
#define PERSONFILE_COLUMNS_MAX 64

enum personfile_form { FORM_STREAM, FORM_ARRAY, FORM_WRAPPED, FORM_CSV };

struct personfile_column {
	const char *parent; /* "" the person, else the object the value belongs to */
	char name[48];
};

struct personfile {
	int fd;
	enum personfile_form form;
	unsigned char block[PERSONFILE_BLOCK_BYTES];
	size_t at, len; /* of the block */
	uint64_t bytes;
	int read_error; /* errno */
	unsigned line;
	struct buf text; /* the person or line being read */
	bool started, ended;
	char separator;
	struct personfile_column columns[PERSONFILE_COLUMNS_MAX];
	size_t column_count;
};

#define PERSONFILE_EOF (-1)

int personfile_peek(struct personfile *f); /* next byte or PERSONFILE_EOF */
int personfile_take(struct personfile *f);

/* personfile_csv.c */
int personfile_csv_header(struct personfile *f, struct bd_err *e);
enum personfile_result personfile_csv_next(struct personfile *f, json_t **element_r,
					   unsigned *line_r, struct bd_err *e);

#endif
