/* SPDX-License-Identifier: Apache-2.0 */
/*
 * brevdue-reader: a worker of the milter (reads mails that come over descriptor 3 until it is
 * closed), or, with --file, a tool that shows what a mail becomes. As a worker it opens all it
 * needs first, then gives up every right it can, and only then sees the first foreign byte.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/json.h"
#include "common/log.h"
#include "common/privs.h"
#include "common/workers.h"
#include "reader/mime.h"
#include "reader/read.h"
#include "reader/strict.h"

#define WORKER_FD 3
#define LETTER_PREFIX_BYTES ((size_t)8) /* envelope/letter.h: "BDL1" and the header's length */

enum { EXIT_LETTER = 0, EXIT_REFUSED = 1, EXIT_USAGE = 2, EXIT_TROUBLE = 3 };

static struct types *types;

/* A whole file or memfd, mapped; *data_r is NULL for an empty one. */
static int
map_whole(int fd, void **data_r, size_t *len_r, struct bd_err *e)
{
	struct stat st;

	*data_r = NULL;
	*len_r = 0;
	if (fstat(fd, &st) == -1)
		return bd_fail_errno(e, BD_E_INTERNAL, "a mail");
	if (st.st_size <= 0)
		return 0;
	*data_r = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (*data_r == MAP_FAILED) {
		*data_r = NULL;
		return bd_fail_errno(e, BD_E_MEMORY, "mapping a mail");
	}
	*len_r = (size_t)st.st_size;
	return 0;
}

/* workers_serve's handler: a letter or a refusal as memfd; -1 ends the process. */
static int
handle(int in_fd, const char *options)
{
	struct reader_options o;
	struct reading reading = { 0 };
	struct bd_err e = { 0 }, write_error = { 0 };
	void *mail = NULL;
	size_t len = 0;
	int fd = -1;

	if (reader_options_parse(options, &o, &e) == -1 ||
	    map_whole(in_fd, &mail, &len, &e) == -1 ||
	    reader_read(types, mail, len, &o, &reading, &e) == -1 ||
	    letter_write(reading.letter, &fd, &e) == -1) {
		if (letter_write_refusal(&e, &fd, &write_error) == -1) {
			log_error("refusing a mail: %s", write_error.cause);
			fd = -1;
		}
	}
	reading_clear(&reading);
	if (mail != NULL)
		munmap(mail, len);
	return fd;
}

/* The JSON header of a letter or refusal, with the SHA-256 of each document added, to stdout. */
static int
show_letter(int fd)
{
	struct bd_err e = { 0 };
	unsigned char *map = NULL;
	void *whole;
	size_t len, header_len = 0, offset;
	json_t *header = NULL;
	int status = EXIT_TROUBLE;

	if (map_whole(fd, &whole, &len, &e) == -1)
		goto out;
	map = whole;
	for (size_t i = 4; i < LETTER_PREFIX_BYTES; i++)
		header_len = header_len << 8 | map[i];
	offset = LETTER_PREFIX_BYTES + header_len;
	header = json_parse(map + LETTER_PREFIX_BYTES, header_len, header_len, &e);
	if (header == NULL)
		goto out;
	status = json_object_get(header, "refusal") != NULL ? EXIT_REFUSED : EXIT_LETTER;
	for (size_t i = 0; i < json_array_size(json_object_get(header, "documents")); i++) {
		json_t *row = json_array_get(json_object_get(header, "documents"), i);
		size_t bytes = (size_t)json_integer_value(json_object_get(row, "bytes"));
		uint8_t digest[SHA256_BYTES];
		char hex[2 * SHA256_BYTES + 1];

		sha256(digest, map + offset, bytes);
		hex_encode(hex, digest, sizeof(digest));
		json_object_set_new(row, "sha256", json_string(hex));
		offset += bytes;
	}
	json_dumpf(header, stdout, JSON_INDENT(1) | JSON_SORT_KEYS);
	putchar('\n');
out:
	json_decref(header);
	if (map != NULL)
		munmap(map, len);
	return status;
}

/* What the strict pass and GMime agree on, leaf by leaf: for comparison with other parsers. */
static int
show_parts(int in_fd)
{
	struct strict_mail m = { 0 };
	struct mime *mime = NULL;
	struct bd_err e = { 0 };
	json_t *list = json_array();
	void *mail = NULL;
	size_t len = 0;
	int status = EXIT_REFUSED;

	if (map_whole(in_fd, &mail, &len, &e) == -1 || strict_read(mail, len, &m, &e) == -1 ||
	    (mime = mime_open(&m, &e)) == NULL)
		goto out;
	for (size_t i = 0; i < m.part_count; i++) {
		struct buf data = { 0 };
		uint8_t digest[SHA256_BYTES];
		char hex[2 * SHA256_BYTES + 1];

		if (m.parts[i].multipart)
			continue;
		if (m.parts[i].type.value[0] == 'm' &&
		    strncmp(m.parts[i].type.value, "message/", 8) == 0)
			continue;
		if (mime_decode(mime, i, &data, &e) == -1)
			goto out;
		sha256(digest, data.data, data.len);
		hex_encode(hex, digest, sizeof(digest));
		json_array_append_new(list, json_pack("{s:s,s:s,s:I,s:s,s:s*}", "type",
						      m.parts[i].type.value, "charset",
						      m.parts[i].type.charset, "bytes",
						      (json_int_t)data.len, "sha256", hex, "name",
						      mime_name(mime, i)));
		buf_free(&data);
	}
	status = EXIT_LETTER;
out:
	if (status == EXIT_REFUSED)
		json_array_append_new(list, json_string(e.detail));
	json_dumpf(list, stdout, JSON_INDENT(1) | JSON_SORT_KEYS);
	putchar('\n');
	json_decref(list);
	mime_close(&mime);
	strict_clear(&m);
	if (mail != NULL)
		munmap(mail, len);
	return status;
}

static int
usage(void)
{
	fprintf(stderr,
		"usage: brevdue-reader --file MAIL.eml [OPTIONS-JSON]\n"
		"       brevdue-reader --parts MAIL.eml\n"
		"--file shows what the mail becomes: the letter's header as JSON (exit 0) or\n"
		"the refusal (exit 1). --parts shows the parts as the strict pass sees them.\n"
		"Without arguments it is a worker of brevdue-milter on descriptor 3.\n");
	return EXIT_USAGE;
}

static int
foreground(int argc, char **argv)
{
	bool parts = strcmp(argv[1], "--parts") == 0;
	int in_fd, fd, status;

	if ((!parts && strcmp(argv[1], "--file") != 0) || argc < 3 || argc > (parts ? 3 : 4))
		return usage();
	if ((in_fd = open(argv[2], O_RDONLY | O_CLOEXEC)) == -1) {
		fprintf(stderr, "brevdue-reader: %s: %s\n", argv[2], strerror(errno));
		return EXIT_TROUBLE;
	}
	if (parts) {
		status = show_parts(in_fd);
	} else {
		fd = handle(in_fd, argc == 4 ? argv[3] : NULL);
		status = fd == -1 ? EXIT_TROUBLE : show_letter(fd);
		if (fd != -1)
			close(fd);
	}
	close(in_fd);
	return status;
}

int
main(int argc, char **argv)
{
	struct bd_err e = { 0 };
	int status;

	log_open("brevdue-reader", false, false);
	setlocale(LC_ALL, "C.UTF-8");
	mime_init();
	if ((types = types_open(&e)) == NULL) {
		log_error("%s", e.cause);
		return EXIT_TROUBLE;
	}
	if (argc > 1) {
		status = foreground(argc, argv);
	} else {
		if (privs_confine_reader(&e) == -1) {
			log_error("%s", e.cause);
			return EXIT_TROUBLE;
		}
		status = workers_serve(WORKER_FD, handle) == -1 ? EXIT_TROUBLE : EXIT_LETTER;
	}
	types_close(&types);
	return status;
}
