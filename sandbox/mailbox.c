/* SPDX-License-Identifier: Apache-2.0 */
/* Keeps letters on disk and in memory. What may come in has been checked before; it makes no
 * decisions but whether a letter may be opened yet. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/encode.h"
#include "common/json.h"
#include "common/log.h"
#include "sandbox/keep.h"
#include "sandbox/mailbox.h"
#include "sandbox/receipts.h"

int
mailbox_open(struct sandbox *sb, struct bd_err *e)
{
	char folder[PATH_MAX];

	snprintf(folder, sizeof(folder), "%s/messages", sb->dir);
	return keep_load(sb, folder, "/message.json", sb->messages, e);
}

static json_t *
status_entry(const char *status, const char *words)
{
	return json_pack("{s:s, s:s, s:o}", "status", status, "beskrivelse", words, "timestamp",
			 sandbox_now());
}

static json_t *
document_list(const struct package_open *open)
{
	json_t *list = json_array();

	for (size_t i = 0; open != NULL && i < open->document_count; i++) {
		const struct package_entry *d = &open->documents[i];
		uint8_t digest[SHA256_BYTES];
		char hex[2 * SHA256_BYTES + 1];

		sha256(digest, d->data.data, d->data.len);
		hex_encode(hex, digest, sizeof(digest));
		json_array_append_new(list,
				      json_pack("{s:i, s:s, s:s, s:s?, s:I, s:s}", "n", (int)i,
						"href", d->href, "mime", d->mime, "title", d->title,
						"size", (json_int_t)d->data.len, "sha256", hex));
	}
	return list;
}

static void
set_from(json_t *target, const char *name, const json_t *body, const char *member)
{
	json_t *value = json_object_get(body, member);

	if (value != NULL)
		json_object_set_new(target, name, json_deep_copy(value));
}

json_t *
mailbox_message(const struct submission *s, const struct package_open *open, const char *failure)
{
	json_t *m = json_pack("{s:s, s:s, s:s, s:s, s:o}", "id", s->instance, "conversation",
			      s->conversation, "process", s->process, "type", s->type, "received",
			      sandbox_now());
	json_t *statuses = json_array();
	uint8_t digest[SHA256_BYTES];
	char hex[2 * SHA256_BYTES + 1], orgnr[ORGNR_CHARS] = "";
	bool given_up = open == NULL && failure == NULL;

	sha256(digest, s->package->data, s->package->len);
	hex_encode(hex, digest, sizeof(digest));
	cert_orgnr(s->signer, orgnr);
	json_object_set_new(m, "channel", json_string(s->channel));
	json_object_set_new(m, "sender", json_string(s->agency));
	json_object_set_new(m, "signer", json_string(orgnr));
	json_object_set_new(m, "owner", json_string(s->sender));
	json_object_set_new(m, "provider", json_string(s->receiver));
	if (s->unit != NULL)
		json_object_set_new(m, "unit", json_string(s->unit));
	if (s->mailbox != NULL)
		json_object_set_new(m, "mailbox", json_string(s->mailbox));
	else
		set_from(m, "address", s->body, "mottaker");
	set_from(m, "public_title", s->body, "ikkesensitivtittel");
	set_from(m, "security_level", s->body, "sikkerhetsnivaa");
	set_from(m, "language", s->body, "spraak");
	set_from(m, "effective", s->body, "virkningsdato");
	set_from(m, "effective", s->body, "virkningstidspunkt");
	set_from(m, "open_receipt", s->body, "aapningskvittering");
	set_from(m, "notices", s->body, "varsler");
	json_object_set_new(m, "package_sha256", json_string(hex));
	json_object_set_new(m, "package_size", json_integer((json_int_t)s->package->len));
	json_array_append_new(statuses, status_entry("OPPRETTET", "Received by C2"));
	json_array_append_new(statuses, given_up
					    ? status_entry("FEILET", "Bad Gateway mot postkasse")
					    : status_entry("SENDT", "Delivered to C3"));
	json_object_set_new(m, "statuses", statuses);
	json_object_set_new(m, "documents", document_list(open));
	if (given_up)
		failure = "Given up by the access point (fault switch)";
	if (failure != NULL)
		json_object_set_new(m, "failure", json_string(failure));
	return m;
}

/* Message and documents into a folder of their own, complete or not at all. */
static int
write_folder(const struct sandbox *sb, const json_t *message, const struct package_open *pkg,
	     struct bd_err *e)
{
	const char *id = json_text(message, "id");
	char folder[PATH_MAX], final[PATH_MAX], name[32];
	int fd, rc = 0;

	snprintf(folder, sizeof(folder), "%s/messages/.new-%s", sb->dir, id);
	snprintf(final, sizeof(final), "%s/messages/%s", sb->dir, id);
	if (mkdir(folder, 0700) == -1)
		return bd_fail_errno(e, BD_E_STORE_FULL, "making %s", folder);
	if ((fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) == -1)
		rc = bd_fail_errno(e, BD_E_STORE_FULL, "opening %s", folder);
	for (size_t i = 0; rc == 0 && pkg != NULL && i < pkg->document_count; i++) {
		snprintf(name, sizeof(name), "%zu.bin", i);
		rc = keep_bytes(fd, name, pkg->documents[i].data.data, pkg->documents[i].data.len,
				e);
	}
	if (fd != -1)
		close(fd);
	if (rc == 0)
		rc = keep_json(folder, "message.json", message, e);
	if (rc == 0 && rename(folder, final) == -1)
		rc = bd_fail_errno(e, BD_E_STORE_FULL, "renaming %s", folder);
	if (rc == -1)
		keep_remove_folder(folder);
	return rc;
}

int
mailbox_store(struct sandbox *sb, json_t *message, const struct package_open *open,
	      struct bd_err *e)
{
	pthread_mutex_lock(&sb->lock);
	json_object_set_new(message, "sequence", json_integer(++sb->sequence));
	pthread_mutex_unlock(&sb->lock);
	if (write_folder(sb, message, open, e) == -1)
		return -1;
	pthread_mutex_lock(&sb->lock);
	json_object_set(sb->messages, json_text(message, "id"), message);
	pthread_mutex_unlock(&sb->lock);
	return 0;
}

int
mailbox_save(struct sandbox *sb, json_t *message, struct bd_err *e)
{
	char folder[PATH_MAX];

	snprintf(folder, sizeof(folder), "%s/messages/%s", sb->dir, json_text(message, "id"));
	return keep_json(folder, "message.json", message, e);
}

json_t *
mailbox_document(struct sandbox *sb, const char *id, const char *n, struct buf *data)
{
	char path[PATH_MAX], piece[65536], *end;
	long number = strtol(n, &end, 10);
	json_t *document = NULL;
	size_t got;
	FILE *f;

	if (*n < '0' || *n > '9' || *end != '\0' || number < 0 || number > 1000)
		return NULL;
	pthread_mutex_lock(&sb->lock);
	document = json_deep_copy(json_array_get(
	    json_object_get(json_object_get(sb->messages, id), "documents"), (size_t)number));
	pthread_mutex_unlock(&sb->lock);
	if (document == NULL)
		return NULL;
	/* id is a key of ours here, so it is a UUID and safe in a path */
	snprintf(path, sizeof(path), "%s/messages/%s/%ld.bin", sb->dir, id, number);
	if ((f = fopen(path, "re")) == NULL) {
		json_decref(document);
		return NULL;
	}
	while ((got = fread(piece, 1, sizeof(piece), f)) > 0 && buf_add(data, piece, got) == 0)
		;
	fclose(f);
	return document;
}

/* From virkningstidspunkt, or from the start of virkningsdato. */
static bool
in_force(const json_t *message)
{
	const char *text = json_text(message, "effective");
	char whole[64];
	time_t when;

	if (text == NULL)
		return true;
	snprintf(whole, sizeof(whole), "%s%s", text, strlen(text) == 10 ? "T00:00:00Z" : "");
	return clock_parse(whole, &when) == 0 && when <= clock_wall();
}

int
mailbox_read_letter(struct sandbox *sb, const char *id, struct bd_err *e)
{
	json_t *message, *copy = NULL;
	int rc = 0;

	pthread_mutex_lock(&sb->lock);
	message = json_object_get(sb->messages, id);
	if (message == NULL)
		rc = bd_fail(e, BD_E_CONTENT, "there is no such letter");
	else if (json_object_get(message, "failure") != NULL ||
		 json_text(message, "mailbox") == NULL)
		rc = bd_fail(e, BD_E_CONTENT, "the letter is in no mailbox");
	else if (!in_force(message))
		rc = bd_fail(e, BD_E_CONTENT, "the letter is not visible yet");
	else if (json_object_get(message, "opened") != NULL)
		rc = 1;
	else {
		json_object_set_new(message, "opened", sandbox_now());
		rc = mailbox_save(sb, message, e);
		if (rc == 0 && json_is_true(json_object_get(message, "open_receipt")))
			copy = json_deep_copy(message);
	}
	pthread_mutex_unlock(&sb->lock);
	if (copy != NULL)
		rc = receipts_add(sb, copy, "aapningskvittering", NULL, e);
	json_decref(copy);
	return rc;
}
