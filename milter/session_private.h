/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_MILTER_SESSION_PRIVATE_H
#define BD_MILTER_SESSION_PRIVATE_H

/* What session.c (the events), session_letters.c (mail to citizens) and session_ordinary.c (all
 * other mail) share. Nobody else includes it. */

#include <stdatomic.h>

#include "milter/letters.h"
#include "milter/message.h"
#include "milter/ordinary.h"
#include "milter/policy.h"
#include "milter/session.h"

#define SESSION_EOM_MS 45000 /* mail clients give up after 60 to 100 s (threats.md 2) */

/* LETTERS from the first citizen named, taken or not; ORDINARY from the first other one taken. */
enum role { ROLE_NONE, ROLE_LETTERS, ROLE_ORDINARY };

struct session {
	struct gate *g;
	const struct mta_ops *ops;
	void *mta;
	bool lead_space;
	/* of the connection */
	struct policy_peer peer;
	char hostname[256], address[64], helo[256];
	char last_queue_id[MESSAGE_QUEUE_ID_CHARS]; /* of the mail before this one */
	/* of the mail; session_end_mail sets them back */
	bool in_mail;
	struct message m;
	enum role role;
	bool data_done, body_started;
	/* Local submission (non_smtpd_milters) may not be refused at RCPT, or the mail stays in the
	 * queue: its first refusal waits in doom for the end of the mail. */
	bool late;
	bool doomed; /* doom is the answer to the whole mail */
	struct bd_err doom;
	/* letters */
	bool authorised, reached;
	const struct conf_client *client;
	const struct conf_agency *agency;
	const struct conf_sender *sender;
	struct lookup_question *question;
	/* ordinary mail */
	struct ordinary ordinary; /* with ordinary = resubmit */
};

const char *session_macro(const struct session *s, const char *name); /* "" when missing */
/* fresh: the MTA sent it with this event; at MAIL and RCPT it may be the mail's before. */
void session_take_queue_id(struct session *s, bool fresh);
/* Logs a refusal and tells it to the MTA; position 0: about all. The mail goes on. */
enum verdict session_refuse(struct session *s, const char *stage, const struct bd_err *e,
			    unsigned position);
/* The same for a mail that ends with it. */
enum verdict session_refuse_mail(struct session *s, const char *stage, const struct bd_err *e,
				 unsigned position);
/* Hands on another MTA's answer. */
enum verdict session_answer(struct session *s, const char *stage, const struct submit_answer *a);
void session_end_mail(struct session *s);
int session_tick(void *session); /* still_working, for work_run */

/* -1 with a refusal of this recipient; may also doom the mail. */
int letters_rcpt(struct session *s, char **argv, const struct conf_domain *domain,
		 const char *local, struct bd_err *e);
int letters_ask(struct session *s, struct bd_err *e);
enum verdict letters_eom(struct session *s);

enum verdict ordinary_mail_rcpt(struct session *s, char **argv);
enum verdict ordinary_mail_data(struct session *s);
int ordinary_mail_header(struct session *s, const char *name, const char *value, struct bd_err *e);
enum verdict ordinary_mail_eom(struct session *s);

#endif
