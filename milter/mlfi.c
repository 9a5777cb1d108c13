/* SPDX-License-Identifier: Apache-2.0 */
/* libmilter's callbacks, thin. libmilter calls them on many threads, one session at a time. */
#include "config.h"
#include "milter/mlfi.h"

#include <stdio.h>
#include <libmilter/mfapi.h>

#include "milter/session.h"

static struct gate *the_gate;        /* set before the first thread */
static atomic_bool usual_lead_space; /* for a session that begins without negotiation (QUIT_NC) */

static const char *
mta_macro(void *mta, const char *name)
{
	char copy[32];

	snprintf(copy, sizeof(copy), "%s", name); /* libmilter's prototype is not const */
	return smfi_getsymval(mta, copy);
}

static void
mta_reply(void *mta, const struct reply *r)
{
	char code[8], status[sizeof(r->status)], text[2 * REPLY_TEXT_CHARS];

	snprintf(code, sizeof(code), "%d", r->code);
	snprintf(status, sizeof(status), "%s", r->status);
	reply_double_percent(text, sizeof(text), r->text);
	smfi_setreply(mta, code, status, text);
}

static int
mta_still_working(void *mta)
{
	return smfi_progress(mta) == MI_SUCCESS ? 0 : -1;
}

static const struct mta_ops mta_smfi = {
	.macro = mta_macro,
	.reply = mta_reply,
	.still_working = mta_still_working,
};

static sfsistat
verdict_status(enum verdict v)
{
	switch (v) {
	case VERDICT_CONTINUE:
		return SMFIS_CONTINUE;
	case VERDICT_ACCEPT:
		return SMFIS_ACCEPT;
	case VERDICT_DISCARD:
		return SMFIS_DISCARD;
	case VERDICT_REJECT:
		return SMFIS_REJECT;
	case VERDICT_TEMPFAIL:
		break;
	}
	return SMFIS_TEMPFAIL;
}

static struct session *
session_of(SMFICTX *ctx, bool lead_space)
{
	struct session *s = smfi_getpriv(ctx);

	if (s != NULL)
		return s;
	if ((s = session_new(the_gate, &mta_smfi, ctx, lead_space)) != NULL &&
	    smfi_setpriv(ctx, s) != MI_SUCCESS)
		session_free(&s);
	return s;
}

static sfsistat
mlfi_negotiate(SMFICTX *ctx, unsigned long f0, unsigned long f1, unsigned long f2, unsigned long f3,
	       unsigned long *pf0, unsigned long *pf1, unsigned long *pf2, unsigned long *pf3)
{
	static const struct {
		int stage;
		const char *macros;
	} wanted[] = {
		{ SMFIM_CONNECT, "j {daemon_name} {client_addr} {client_name}" },
		{ SMFIM_HELO, "{tls_version}" },
		{ SMFIM_ENVFROM, "i {auth_authen} {tls_version} {daemon_name} j" },
		{ SMFIM_ENVRCPT, "i" },
		{ SMFIM_DATA, "i" },
		{ SMFIM_EOH, "i" },
		{ SMFIM_EOM, "i" },
	};
	bool lead = (f1 & SMFIP_HDR_LEADSPC) != 0;

	(void)f2;
	(void)f3;
	if ((f0 & SMFIF_SETSYMLIST) != 0) {
		for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
			char copy[80];

			snprintf(copy, sizeof(copy), "%s", wanted[i].macros);
			smfi_setsymlist(ctx, wanted[i].stage, copy);
		}
	}
	*pf0 = f0 & SMFIF_SETSYMLIST; /* nothing of a mail is ever changed */
	*pf1 = f1 & (SMFIP_HDR_LEADSPC | SMFIP_NOUNKNOWN);
	*pf2 = 0;
	*pf3 = 0;
	atomic_store(&usual_lead_space, lead);
	return session_of(ctx, lead) != NULL ? SMFIS_CONTINUE : SMFIS_REJECT;
}

/* Finds the session, or leaves the callback with 451. */
#define SESSION_OR_TEMPFAIL(s, ctx)                                          \
	struct session *s = session_of(ctx, atomic_load(&usual_lead_space)); \
	if (s == NULL)                                                       \
	return SMFIS_TEMPFAIL

static sfsistat
mlfi_connect(SMFICTX *ctx, char *hostname, _SOCK_ADDR *sa)
{
	SESSION_OR_TEMPFAIL(s, ctx);
	return verdict_status(session_connect(s, hostname, sa));
}

static sfsistat
mlfi_helo(SMFICTX *ctx, char *helo)
{
	SESSION_OR_TEMPFAIL(s, ctx);
	return verdict_status(session_helo(s, helo));
}

static sfsistat
mlfi_envfrom(SMFICTX *ctx, char **argv)
{
	SESSION_OR_TEMPFAIL(s, ctx);
	return verdict_status(session_mail(s, argv));
}

static sfsistat
mlfi_envrcpt(SMFICTX *ctx, char **argv)
{
	SESSION_OR_TEMPFAIL(s, ctx);
	return verdict_status(session_rcpt(s, argv));
}

static sfsistat
mlfi_data(SMFICTX *ctx)
{
	SESSION_OR_TEMPFAIL(s, ctx);
	return verdict_status(session_data(s));
}

static sfsistat
mlfi_header(SMFICTX *ctx, char *name, char *value)
{
	SESSION_OR_TEMPFAIL(s, ctx);
	return verdict_status(session_header(s, name, value));
}

static sfsistat
mlfi_eoh(SMFICTX *ctx)
{
	SESSION_OR_TEMPFAIL(s, ctx);
	return verdict_status(session_eoh(s));
}

static sfsistat
mlfi_body(SMFICTX *ctx, unsigned char *data, size_t len)
{
	SESSION_OR_TEMPFAIL(s, ctx);
	return verdict_status(session_body(s, data, len));
}

static sfsistat
mlfi_eom(SMFICTX *ctx)
{
	SESSION_OR_TEMPFAIL(s, ctx);
	return verdict_status(session_eom(s));
}

static sfsistat
mlfi_abort(SMFICTX *ctx)
{
	struct session *s = smfi_getpriv(ctx);

	if (s != NULL)
		session_abort(s);
	return SMFIS_CONTINUE;
}

static sfsistat
mlfi_close(SMFICTX *ctx)
{
	struct session *s = smfi_getpriv(ctx);

	if (s != NULL) {
		smfi_setpriv(ctx, NULL);
		session_free(&s);
	}
	return SMFIS_CONTINUE;
}

int
mlfi_register(struct gate *g, const char *socket, struct bd_err *e)
{
	static char name[] = "brevdue", conn[256];
	static const struct smfiDesc desc = {
		.xxfi_name = name,
		.xxfi_version = SMFI_VERSION,
		.xxfi_flags = SMFIF_SETSYMLIST,
		.xxfi_connect = mlfi_connect,
		.xxfi_helo = mlfi_helo,
		.xxfi_envfrom = mlfi_envfrom,
		.xxfi_envrcpt = mlfi_envrcpt,
		.xxfi_header = mlfi_header,
		.xxfi_eoh = mlfi_eoh,
		.xxfi_body = mlfi_body,
		.xxfi_eom = mlfi_eom,
		.xxfi_abort = mlfi_abort,
		.xxfi_close = mlfi_close,
		.xxfi_data = mlfi_data,
		.xxfi_negotiate = mlfi_negotiate,
	};

	the_gate = g;
	if (snprintf(conn, sizeof(conn), "unix:%s", socket) >= (int)sizeof(conn))
		return bd_fail(e, BD_E_CONFIG, "milter.socket: path too long");
	if (smfi_register(desc) != MI_SUCCESS || smfi_setconn(conn) != MI_SUCCESS)
		return bd_fail(e, BD_E_CONFIG, "libmilter does not take socket %s", socket);
	return 0;
}
