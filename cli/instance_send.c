/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sending instance: a durable queue that is reached through three unix-domain smtpd services
 * only, and hands sealed messages to the transport, one master.cf transport per provider.
 *
 * Who reaches them: Postfix makes every socket in public/ with mode 0666 inside a folder of mode
 * 2710 whose group is setgid_group, so the group is the permission. This instance has a group of
 * its own (submit-group) with the users of milter and transport in it: with Debian's postdrop they
 * would also reach cleanup, qmgr and pickup of every other instance on the machine. The price: at
 * start Postfix warns that postqueue and postdrop are not of that group, which is as it should be,
 * since nobody may submit here with them.
 *
 * A client on a unix-domain socket is localhost[127.0.0.1] to smtpd (tried with Postfix 3.7.11);
 * that is the address in the settings of XFORWARD and of the client limits here.
 */
#include "config.h"
#include "cli/instance_private.h"

#include <string.h>

static void
time_parameters(struct parameters *p)
{
	parameter_set(p,
		      "one day of trying, then the sender hears of it; a provider that is back is "
		      "found within minutes",
		      "maximal_queue_lifetime", "1d");
	/* Tried: the queue manager lowers it to maximal_queue_lifetime anyway, with a warning. */
	parameter_set(p, NULL, "bounce_queue_lifetime", "1d");
	parameter_set(p, NULL, "queue_run_delay", "60s");
	parameter_set(p, NULL, "minimal_backoff_time", "60s");
	parameter_set(p, NULL, "maximal_backoff_time", "900s");
	parameter_set(p, NULL, "transport_retry_time", "60s");
	parameter_set(p, "the transport answers within 120 s; Postfix waits longer",
		      "lmtp_data_done_timeout", "600s");
	parameter_set(p, NULL, "lmtp_connect_timeout", "10s");
}

static void
door_parameters(struct parameters *p, const struct conf *c)
{
	parameter_set(p, "no port: three unix-domain services in master.cf", "inet_interfaces",
		      "loopback-only");
	parameter_set(p, "who may connect to them, and nobody else", "setgid_group", "%s",
		      c->postfix.submit_group);
	parameter_set(p, NULL, "mynetworks", "127.0.0.0/8 [::1]/128");
	parameter_set(p, NULL, "smtpd_milters", "%s", "");
	parameter_set(p, NULL, "non_smtpd_milters", "%s", "");
	parameter_set(p, NULL, "smtpd_tls_security_level", "none");
	parameter_set(p, "all clients share the address localhost",
		      "smtpd_client_connection_count_limit", "0");
	parameter_set(p, "lets the milter name the front's queue id, so that one log line has both",
		      "smtpd_authorized_xforward_hosts", "127.0.0.1");
	parameter_set(p, NULL, "smtpd_peername_lookup", "no");
	parameter_set(p, NULL, "smtpd_forbid_bare_newline", "reject");
	parameter_set(p, NULL, "smtpd_forbid_bare_newline_exclusions", "%s", "");
	parameter_set(p, NULL, "smtpd_relay_restrictions", "permit_mynetworks, reject");
}

static void
keeping_parameters(struct parameters *p, const struct conf *c)
{
	parameter_set(p, NULL, "maillog_file", "%s", c->postfix.send_log);
	parameter_set(p, NULL, "maillog_file_prefixes", "%.*s",
		      (int)(strrchr(c->postfix.send_log, '/') - c->postfix.send_log),
		      c->postfix.send_log);
	parameter_set(p, NULL, "syslog_name", "postfix-send");
	parameter_set(p, "troubles of the machine, never transcripts of sessions", "notify_classes",
		      "resource, software");
	parameter_set(p, "holds a package of the largest size in base64, and the largest mail",
		      "message_size_limit", "%lu", instance_send_limit(c));
	parameter_set(p, NULL, "queue_minfree", "%lu", 2 * instance_send_limit(c));
	parameter_set(p, NULL, "smtp_tls_security_level", "may");
}

/* Processes of one transport, so that all of them together stay within the transport's limit. */
static unsigned
lmtp_processes(const struct conf *c, size_t transports)
{
	unsigned each = c->transport.connections / (unsigned)transports;

	return each < 1 ? 1 : each;
}

static int
lmtp_services(const struct conf *c, const char *socket, struct buf *m, struct buf *t)
{
	char **orgnr = c->transport.providers;
	size_t transports = 2; /* the other providers; reports */
	unsigned each;
	int rc = 0;

	for (char **o = orgnr; o != NULL && *o != NULL; o++)
		transports++;
	each = lmtp_processes(c, transports);
	rc |= buf_adds(t, "# Sealed messages, one transport per provider.\n");
	for (; orgnr != NULL && *orgnr != NULL; orgnr++) {
		rc |= buf_addf(m, "brevdue-digital-%s unix - - y - %u lmtp\n", *orgnr, each);
		rc |= buf_addf(t, "%s.digital.brevdue.invalid\tbrevdue-digital-%s:unix:%s\n",
			       *orgnr, *orgnr, socket);
	}
	rc |= buf_addf(m, "brevdue-digital unix - - y - %u lmtp\n", each);
	rc |= buf_addf(m, "brevdue-report unix - - y - %u lmtp\n", each);
	rc |= buf_addf(t,
		       "digital.brevdue.invalid\tbrevdue-digital:unix:%s\n"
		       ".digital.brevdue.invalid\tbrevdue-digital:unix:%s\n"
		       "report.brevdue.invalid\tbrevdue-report:unix:%s\n"
		       "brevdue.invalid\terror:5.3.5 no such route\n"
		       ".brevdue.invalid\terror:5.3.5 no such route\n",
		       socket, socket, socket);
	return rc;
}

static int
doors(const struct conf *c, struct buf *m)
{
	int rc = buf_adds(m, "# Made by brevdue setup postfix from brevdue.conf. Sending: no "
			     "port.\n"
			     "# service type private unpriv chroot wakeup maxproc command\n");

	rc |= buf_addf(
	    m,
	    "# Sealed messages, from the milter: only to *.brevdue.invalid, nothing is changed.\n"
	    "seal       unix  n  -  y  -      %u   smtpd\n"
	    "    -o { syslog_name = postfix-send/seal }\n"
	    "    -o { receive_override_options = no_milters, no_header_body_checks, "
	    "no_address_mappings }\n"
	    "    -o { smtpd_recipient_restrictions = check_recipient_access "
	    "regexp:$config_directory/access, reject }\n"
	    "# Ordinary mail, from the milter: to everybody but citizens and ourselves. No address "
	    "is mapped:\n"
	    "# an alias for a citizen would bring the number into the log.\n"
	    "mail       unix  n  -  y  -      %u   smtpd\n"
	    "    -o { syslog_name = postfix-send/mail }\n"
	    "    -o { smtpd_recipient_restrictions = check_recipient_access "
	    "regexp:$config_directory/refuse }\n"
	    "    -o { receive_override_options = no_milters, no_header_body_checks, "
	    "no_address_mappings }\n"
	    "# Reports, from the transport.\n"
	    "report     unix  n  -  y  -      20   smtpd\n"
	    "    -o { syslog_name = postfix-send/report }\n"
	    "    -o { smtpd_recipient_restrictions = check_recipient_access "
	    "regexp:$config_directory/refuse }\n"
	    "    -o { receive_override_options = no_milters, no_header_body_checks }\n"
	    "    -o { smtpd_authorized_xforward_hosts = }\n",
	    c->milter.submit_connections + 2, c->milter.submit_connections + 2);
	return rc | services_common(m);
}

int
instance_send(const struct conf *c, struct instance_text *text, struct bd_err *e)
{
	const char *socket = instance_in_queue(c->postfix.send_queue, c->transport.socket);
	struct parameters p = { 0 };
	int rc;

	if (socket == NULL)
		return bd_fail(e, BD_E_CONFIG, "transport socket %s is not inside send-queue %s",
			       c->transport.socket, c->postfix.send_queue);
	parameters_common(&p, c, c->postfix.send_queue, c->postfix.send_data);
	door_parameters(&p, c);
	time_parameters(&p);
	keeping_parameters(&p, c);
	rc = parameters_own(&p, c->postfix.send_parameters, e);
	if (parameters_write(&p, "Sending instance of brevdue: sealed messages wait here.",
			     &text->main_cf, e) == -1 ||
	    rc == -1)
		return -1;
	rc = doors(c, &text->master_cf);
	rc |= lmtp_services(c, socket, &text->master_cf, &text->transport);
	rc |= transport_citizens(c, &text->transport);
	rc |= access_refuse(&text->refuse);
	rc |= buf_adds(&text->access,
		       "# Recipients that the service seal takes: letters by id, per route.\n"
		       "/@report\\.brevdue\\.invalid$/\tREJECT\n"
		       "/^[0-9a-f]{32}@([0-9]{9}\\.)?[a-z]+\\.brevdue\\.invalid$/\tOK\n");
	return rc == 0 ? 0 : bd_fail(e, BD_E_MEMORY, "out of memory");
}
