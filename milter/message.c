/* SPDX-License-Identifier: Apache-2.0 */
/* Envelope and bytes of one mail. The bytes are kept in a memfd that a reader can be given. */
#include "config.h"
#include "milter/message.h"

#include <fcntl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/clock.h"

#define PENDING_BYTES ((size_t)64 << 10)

char *
message_address(const char *arg)
{
	size_t len = strlen(arg);

	if (len >= 2 && arg[0] == '<' && arg[len - 1] == '>')
		return strndup(arg + 1, len - 2);
	return strdup(arg);
}

const char *
message_param(char **argv, const char *name)
{
	size_t n = strlen(name);

	for (char **arg = argv + 1; argv[0] != NULL && *arg != NULL; arg++)
		if (strncasecmp(*arg, name, n) == 0 && ((*arg)[n] == '=' || (*arg)[n] == '\0'))
			return (*arg)[n] == '=' ? *arg + n + 1 : *arg + n;
	return NULL;
}

/* A copy of the parameter's value in *out_r, NULL when it is not there. */
static int
copy_param(char **argv, const char *name, char **out_r)
{
	const char *value = message_param(argv, name);

	*out_r = NULL;
	return value != NULL && (*out_r = strdup(value)) == NULL ? -1 : 0;
}

static char *
join_args(char **argv)
{
	struct buf b = { 0 };
	char *text;

	for (char **arg = argv + 1; *arg != NULL; arg++)
		if ((b.len > 0 && buf_addc(&b, ' ') == -1) || buf_adds(&b, *arg) == -1) {
			buf_free(&b);
			return NULL;
		}
	text = strdup(buf_str(&b));
	buf_free(&b);
	return text;
}

int
message_init(struct message *m, struct memory *account, char **argv, struct bd_err *e)
{
	const char *size = message_param(argv, "SIZE");

	*m = (struct message){ .fd = -1, .share.account = account, .started_ms = clock_ms() };
	m->pending.max = 2 * PENDING_BYTES;
	if ((m->from = message_address(argv[0])) == NULL ||
	    (m->from_args = join_args(argv)) == NULL ||
	    copy_param(argv, "ENVID", &m->envid) == -1 || copy_param(argv, "RET", &m->ret) == -1) {
		message_clear(m);
		return bd_fail(e, BD_E_MEMORY, "sender");
	}
	m->announced = size != NULL ? strtoul(size, NULL, 10) : 0;
	return 0;
}

void
message_drop_content(struct message *m)
{
	buf_free(&m->pending);
	if (m->fd != -1)
		close(m->fd);
	m->fd = -1;
	if (m->share.account != NULL)
		memory_give(&m->share, m->size < m->share.held ? m->size : m->share.held);
	m->size = 0;
}

void
message_clear(struct message *m)
{
	if (m->share.account == NULL)
		return; /* never set up, or cleared before */
	for (size_t i = 0; i < m->recipient_count; i++) {
		struct recipient *r = &m->recipients[i];

		explicit_bzero(r->address, strlen(r->address));
		free(r->address);
		free(r->notify);
		free(r->orcpt);
		explicit_bzero(r, sizeof(*r));
	}
	free(m->recipients);
	free(m->from);
	free(m->from_args);
	free(m->envid);
	free(m->ret);
	message_drop_content(m);
	memory_drop(&m->share);
	*m = (struct message){ .fd = -1 };
}

static bool
is_same_wish(const struct recipient *r, const struct citizen *c, const struct conf_domain *domain)
{
	return r->domain == domain && r->citizen.force == c->force &&
	       r->citizen.service == c->service && r->citizen.level3 == c->level3;
}

int
message_add_recipient(struct message *m, char **argv, const struct citizen *citizen,
		      const struct conf_domain *domain, struct bd_err *e)
{
	struct recipient *grown, *r;

	for (size_t i = 0; i < m->recipient_count; i++) {
		if (strcmp(m->recipients[i].citizen.id, citizen->id) != 0)
			continue;
		if (is_same_wish(&m->recipients[i], citizen, domain))
			return 1;
		bd_fail(e, BD_E_CONTENT, "one person named twice with different options");
		bd_detail(e, "one person twice, with different options");
		return -1;
	}
	grown = reallocarray(m->recipients, m->recipient_count + 1, sizeof(*grown));
	if (grown == NULL)
		return bd_fail(e, BD_E_MEMORY, "recipient");
	m->recipients = grown;
	r = &grown[m->recipient_count];
	*r = (struct recipient){ .citizen = *citizen, .domain = domain };
	r->position = m->rcpt_commands;
	if ((r->address = message_address(argv[0])) == NULL ||
	    copy_param(argv, "NOTIFY", &r->notify) == -1 ||
	    copy_param(argv, "ORCPT", &r->orcpt) == -1) {
		free(r->address);
		free(r->notify);
		return bd_fail(e, BD_E_MEMORY, "recipient");
	}
	m->recipient_count++;
	return 0;
}

int
message_fits(const struct conf *c, size_t recipients, size_t bytes, struct bd_err *e)
{
	if (bytes > c->milter.message_size)
		return bd_fail(e, BD_E_TOO_BIG, "mail above milter.message-size");
	if (recipients > 0 && bytes > c->milter.mail_work / recipients)
		return bd_fail(e, BD_E_MAIL_WORK,
			       "%zu recipients x %zu bytes above milter.mail-work", recipients,
			       bytes);
	return 0;
}

static int
write_pending(struct message *m, struct bd_err *e)
{
	const unsigned char *p = m->pending.data;
	size_t left = m->pending.len;

	if (m->fd == -1 && (m->fd = memfd_create("mail", MFD_CLOEXEC | MFD_ALLOW_SEALING)) == -1)
		return bd_fail_errno(e, BD_E_MEMORY, "memfd");
	while (left > 0) {
		ssize_t n = write(m->fd, p, left);

		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			return bd_fail_errno(e, BD_E_MEMORY, "memfd");
		p += n;
		left -= (size_t)n;
	}
	buf_clear(&m->pending);
	return 0;
}

int
message_add(struct message *m, const void *data, size_t len, struct bd_err *e)
{
	const unsigned char *p = data;

	if (memory_take(&m->share, len, e) == -1)
		return -1;
	m->size += len;
	while (len > 0) {
		size_t n = len < PENDING_BYTES ? len : PENDING_BYTES;

		if (buf_add(&m->pending, p, n) == -1)
			return bd_fail(e, BD_E_MEMORY, "mail");
		p += n;
		len -= n;
		if (m->pending.len >= PENDING_BYTES && write_pending(m, e) == -1)
			return -1;
	}
	return 0;
}

static int
append(struct message *m, const struct conf *c, const void *data, size_t len, struct bd_err *e)
{
	if (message_fits(c, m->recipient_count, m->size + len, e) == -1)
		return -1;
	return message_add(m, data, len, e);
}

static int
refuse_header(struct bd_err *e, const char *why)
{
	bd_fail(e, BD_E_CONTENT, "header: %s", why);
	bd_detail(e, "header: %s", why);
	return -1;
}

/* Line ends become CRLF; a line that is not a continuation would be a header of its own (A6). */
static int
append_value(struct message *m, const struct conf *c, const char *value, struct bd_err *e)
{
	while (*value != '\0') {
		size_t n = strcspn(value, "\r\n");

		if (append(m, c, value, n, e) == -1)
			return -1;
		value += n;
		if (*value == '\0')
			break;
		if (*value == '\r' && value[1] != '\n')
			return refuse_header(e, "carriage return alone");
		value += *value == '\r' ? 2 : 1;
		if (*value == '\0')
			break;
		if (*value != ' ' && *value != '\t')
			return refuse_header(e, "line that continues nothing");
		if (append(m, c, "\r\n", 2, e) == -1)
			return -1;
	}
	return append(m, c, "\r\n", 2, e);
}

int
message_header(struct message *m, const struct conf *c, const char *name, const char *value,
	       bool lead, struct bd_err *e)
{
	size_t len = strlen(name) + strlen(value);

	if (len > MESSAGE_HEADER_MAX_BYTES)
		return refuse_header(e, "longer than 32 kB");
	m->header_bytes += len + 4;
	if (m->header_bytes > MESSAGE_HEADERS_MAX_BYTES)
		return refuse_header(e, "all together longer than 256 kB");
	for (const char *p = name; *p != '\0'; p++)
		if (*p <= ' ' || *p >= 0x7f || *p == ':')
			return refuse_header(e, "bad name");
	if (*name == '\0')
		return refuse_header(e, "bad name");
	if (append(m, c, name, strlen(name), e) == -1 || append(m, c, ": ", lead ? 1 : 2, e) == -1)
		return -1;
	return append_value(m, c, value, e);
}

int
message_eoh(struct message *m, const struct conf *c, struct bd_err *e)
{
	return append(m, c, "\r\n", 2, e);
}

int
message_body(struct message *m, const struct conf *c, const void *data, size_t len,
	     struct bd_err *e)
{
	return append(m, c, data, len, e);
}

int
message_finish(struct message *m, struct bd_err *e)
{
	if (write_pending(m, e) == -1)
		return -1;
	buf_free(&m->pending);
	if (fcntl(m->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) ==
		-1 ||
	    lseek(m->fd, 0, SEEK_SET) == -1)
		return bd_fail_errno(e, BD_E_MEMORY, "memfd");
	return 0;
}

int
message_digest(const struct message *m, uint8_t digest[SHA256_BYTES], struct bd_err *e)
{
	void *map;

	if (m->size == 0) {
		sha256(digest, "", 0);
		return 0;
	}
	if ((map = mmap(NULL, m->size, PROT_READ, MAP_PRIVATE, m->fd, 0)) == MAP_FAILED)
		return bd_fail_errno(e, BD_E_MEMORY, "memfd");
	sha256(digest, map, m->size);
	munmap(map, m->size);
	return 0;
}
