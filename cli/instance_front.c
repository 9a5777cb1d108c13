/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The front instance: takes mail where agencies hand it in, asks the milter about each, and keeps
 * nothing. Its queue lives on a RAM disk, its log passes brevdue logmask.
 */
#include "config.h"
#include "cli/instance_private.h"

#include <string.h>

#include "common/encode.h"

/* Loopback and the networks of the clients, so that Postfix itself relays their ordinary mail to
 * the milter's eyes. Networks shared by strangers are left out: they get citizens' domains only. */
static int
networks(const struct conf *c, struct buf *list)
{
	int rc = buf_adds(list, "127.0.0.0/8 [::1]/128");

	for (size_t i = 0; i < c->client_count; i++) {
		char **at = c->clients[i].shared ? NULL : c->clients[i].networks;

		for (; at != NULL && *at != NULL; at++) {
			const char *slash = strchr(*at, '/');
			int len = slash == NULL ? (int)strlen(*at) : (int)(slash - *at);

			if (strcmp(*at, "unix") == 0)
				continue;
			if (strchr(*at, ':') != NULL)
				rc |= buf_addf(list, " [%.*s]%s", len, *at,
					       slash == NULL ? "" : slash);
			else
				rc |= buf_addf(list, " %s", *at);
		}
	}
	return rc;
}

static void
milter_parameters(struct parameters *p)
{
	parameter_set(p,
		      "a milter that does not answer stops the mail, never lets it pass (shutdown "
		      "from Postfix 3.11)",
		      "milter_default_action", "tempfail");
	parameter_set(p, NULL, "milter_protocol", "6");
	parameter_set(p, NULL, "milter_connect_timeout", "30s");
	parameter_set(p, NULL, "milter_command_timeout", "30s");
	parameter_set(p, NULL, "milter_content_timeout", "300s");
	parameter_set(p, NULL, "milter_macro_daemon_name", "front");
	parameter_set(p, NULL, "milter_connect_macros",
		      "j {daemon_name} {daemon_addr} v _ {client_addr} {client_name} "
		      "{client_port}");
	parameter_set(p, NULL, "milter_helo_macros",
		      "{tls_version} {cipher} {cipher_bits} {cert_subject} {cert_issuer}");
	parameter_set(p, NULL, "milter_mail_macros",
		      "i {auth_type} {auth_authen} {auth_author} {mail_addr} {mail_host} "
		      "{mail_mailer} {tls_version} {daemon_name}");
	parameter_set(p, "mail that did not come by smtpd has no milter and no way",
		      "non_smtpd_milters", "%s", "");
}

static void
smtpd_parameters(struct parameters *p, const struct conf *c, const char *networks_text)
{
	struct buf domains = { 0 };

	for (size_t i = 0; i < c->domain_count; i++)
		if (buf_addf(&domains, "%s%s", i == 0 ? "" : " ", c->domains[i].name) == -1)
			p->failed = true;
	parameter_set(p, "who may send at all; who may send letters is the milter's to say",
		      "mynetworks", "%s", networks_text);
	parameter_set(p, NULL, "relay_domains", "%s", buf_str(&domains));
	parameter_set(p, NULL, "smtpd_relay_restrictions",
		      "permit_mynetworks, permit_sasl_authenticated, reject_unauth_destination");
	parameter_set(p, "sealed messages are never taken from outside",
		      "smtpd_recipient_restrictions",
		      "check_recipient_access regexp:$config_directory/refuse");
	parameter_set(p,
		      "one message stays one message (SMTP smuggling), also from our own networks",
		      "smtpd_forbid_bare_newline", "reject");
	parameter_set(p, NULL, "smtpd_forbid_bare_newline_exclusions", "%s", "");
	parameter_set(p, "as brevdue.conf; a 452 for those above it is no error of the client's",
		      "smtpd_recipient_limit", "%u", c->milter.mail_recipients);
	parameter_set(p, NULL, "disable_vrfy_command", "yes");
	if (c->postfix.front_certificate != NULL && c->postfix.front_key != NULL) {
		parameter_set(p, "TLS 1.2 or better; the milter refuses letters without it",
			      "smtpd_tls_security_level", "may");
		parameter_set(p, NULL, "smtpd_tls_cert_file", "%s", c->postfix.front_certificate);
		parameter_set(p, NULL, "smtpd_tls_key_file", "%s", c->postfix.front_key);
		parameter_set(p, NULL, "smtpd_tls_protocols", ">=TLSv1.2");
		parameter_set(p, NULL, "smtpd_tls_mandatory_protocols", ">=TLSv1.2");
		parameter_set(p, NULL, "smtpd_tls_auth_only", "yes");
		parameter_set(p, NULL, "smtpd_tls_loglevel", "1");
	}
	buf_free(&domains);
}

static void
keeping_parameters(struct parameters *p, const struct conf *c)
{
	parameter_set(p, "the log holds recipients: brevdue logmask reads it and stores it masked",
		      "maillog_file", "%s/" INSTANCE_FIFO, c->postfix.front_config);
	parameter_set(p, NULL, "maillog_file_prefixes", "%s", c->postfix.front_config);
	parameter_set(p, NULL, "syslog_name", "postfix-front");
	parameter_set(p, "no transcripts of sessions by mail", "notify_classes", "%s", "");
	parameter_set(p, "room for one mail twice, or no new one is taken", "message_size_limit",
		      "%zu", c->milter.message_size);
	parameter_set(p, NULL, "queue_minfree", "%zu", 2 * c->milter.message_size);
	if (c->milter.ordinary != CONF_ORDINARY_PASS)
		parameter_set(p, "the queue is volatile: nothing may stay in it",
			      "default_transport", "error:5.3.5 nothing is kept here");
	parameter_set(p, NULL, "maximal_queue_lifetime", "1d");
	parameter_set(p, NULL, "bounce_queue_lifetime", "1d");
}

static int
listener(const struct conf *c, const char *socket, struct buf *m)
{
	int rc = buf_adds(m, "# Made by brevdue setup postfix from brevdue.conf. Front: takes mail "
			     "from agencies.\n"
			     "# service type private unpriv chroot wakeup maxproc command\n");

	rc |= buf_addf(m,
		       "%s inet  n  -  y  -      -    smtpd\n"
		       "    -o { smtpd_milters = unix:%s }\n"
		       "    -o { smtpd_reject_unlisted_recipient = no }\n",
		       c->postfix.front_listen, socket);
	for (char **line = c->postfix.front_services; line != NULL && *line != NULL; line++)
		rc |= buf_addf(m, "%s\n", *line);
	return rc | services_common(m);
}

int
instance_front(const struct conf *c, struct instance_text *text, struct bd_err *e)
{
	const char *socket = instance_in_queue(c->postfix.front_queue, c->milter.socket);
	struct parameters p = { 0 };
	struct buf nets = { 0 };
	int rc;

	if (socket == NULL)
		return bd_fail(e, BD_E_CONFIG, "milter socket %s is not inside front-queue %s",
			       c->milter.socket, c->postfix.front_queue);
	p.failed = networks(c, &nets) != 0;
	parameters_common(&p, c, c->postfix.front_queue, c->postfix.front_data);
	milter_parameters(&p);
	smtpd_parameters(&p, c, buf_str(&nets));
	keeping_parameters(&p, c);
	rc = parameters_own(&p, c->postfix.front_parameters, e);
	if (parameters_write(&p, "Front instance of brevdue: mail comes in here.", &text->main_cf,
			     e) == -1)
		rc = -1;
	buf_free(&nets);
	if (rc == -1)
		return -1;
	rc = listener(c, socket, &text->master_cf);
	rc |= transport_citizens(c, &text->transport);
	rc |= buf_adds(&text->transport, "# Sealed messages live in the sending instance only.\n"
					 "brevdue.invalid\terror:5.3.5 not for the outside\n"
					 ".brevdue.invalid\terror:5.3.5 not for the outside\n");
	rc |= access_refuse(&text->refuse);
	return rc == 0 ? 0 : bd_fail(e, BD_E_MEMORY, "out of memory");
}
