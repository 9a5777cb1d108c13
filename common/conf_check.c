/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What must fit together in the configuration: references between sections and settings that limit
 * each other. Opens nothing; whether files, users and services are there is brevdue check's job.
 */
#include "config.h"
#include "common/conf_private.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "common/network.h"

static int
check_agency(const struct conf *c, const struct conf_load *l, size_t i, struct bd_err *e)
{
	const struct conf_agency *a = &c->agencies[i];

	if (a->sender_count == 0)
		return conf_fail_at(l, e, CONF_AGENCY, i, NULL,
				    "agency \"%s\" ends here without a sender section: nobody "
				    "could send",
				    a->name);
	for (size_t k = 0; a->mixed_domains != NULL && a->mixed_domains[k] != NULL; k++)
		if (conf_domain(c, a->mixed_domains[k]) != NULL)
			return conf_fail_at(l, e, CONF_AGENCY, i, "mixed-domains",
					    "mixed-domains: \"%s\" is a domain of citizens",
					    a->mixed_domains[k]);
	if (a->client_id == NULL && conf_has_section(l, CONF_MASKINPORTEN))
		return conf_fail_at(l, e, CONF_AGENCY, i, NULL,
				    "agency \"%s\" ends here without client-id, which "
				    "maskinporten asks for",
				    a->name);
	return 0;
}

static int
check_domain(const struct conf *c, const struct conf_load *l, size_t i, struct bd_err *e)
{
	const char *name = c->domains[i].name;
	size_t len = strlen(name);

	if (conf_domain(c, name) != &c->domains[i])
		return conf_fail_at(l, e, CONF_DOMAIN, i, NULL,
				    "there is a section for domain \"%s\" already", name);
	if (len >= 8 && strcasecmp(name + len - 8, ".invalid") == 0)
		return conf_fail_at(l, e, CONF_DOMAIN, i, NULL,
				    "domain \"%s\": names in .invalid are kept for brevdue itself",
				    name);
	return 0;
}

static int
check_client(const struct conf *c, const struct conf_load *l, size_t i, struct bd_err *e)
{
	const struct conf_client *client = &c->clients[i];

	if (client->logins == NULL && client->networks == NULL && client->listeners == NULL)
		return conf_fail_at(l, e, CONF_CLIENT, i, NULL,
				    "client \"%s\" ends here without logins, networks or "
				    "listeners: nobody could be it",
				    client->name);
	if (client->agencies == NULL || client->agencies[0] == NULL)
		return conf_fail_at(l, e, CONF_CLIENT, i, "agencies", "agencies is empty");
	for (size_t k = 0; client->agencies[k] != NULL; k++)
		if (conf_agency(c, client->agencies[k]) == NULL)
			return conf_fail_at(l, e, CONF_CLIENT, i, "agencies",
					    "agencies: there is no agency \"%s\"",
					    client->agencies[k]);
	return 0;
}

static bool
same_text(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

static bool
same_network(const char *a, const char *b)
{
	struct bd_err ignored = { 0 }; /* what does not parse was refused before */
	struct network x = { 0 }, y = { 0 };

	return network_parse(a, &x, &ignored) == 0 && network_parse(b, &y, &ignored) == 0 &&
	       x.family == y.family && x.bits == y.bits &&
	       memcmp(x.address, y.address, sizeof(x.address)) == 0;
}

static const struct {
	const char *name;
	size_t offset;
	bool (*same)(const char *a, const char *b);
} credentials[] = {
	{ "logins", offsetof(struct conf_client, logins), same_text },
	{ "networks", offsetof(struct conf_client, networks), same_network },
	{ "listeners", offsetof(struct conf_client, listeners), same_text },
};

static char **
credentials_of(const struct conf_client *client, size_t kind)
{
	char **list;

	memcpy(&list, (const char *)client + credentials[kind].offset, sizeof(list));
	return list;
}

/* Whose credential it is among the clients before i, or NULL. */
static const struct conf_client *
owner_before(const struct conf *c, size_t i, size_t kind, const char *credential)
{
	for (size_t j = 0; j < i; j++) {
		char **list = credentials_of(&c->clients[j], kind);

		for (; list != NULL && *list != NULL; list++)
			if (credentials[kind].same(*list, credential))
				return &c->clients[j];
	}
	return NULL;
}

/* What two clients have in common would make the order of the file decide who speaks for whom. */
static int
check_credentials(const struct conf *c, const struct conf_load *l, struct bd_err *e)
{
	for (size_t i = 0; i < c->client_count; i++) {
		for (size_t kind = 0; kind < sizeof(credentials) / sizeof(credentials[0]); kind++) {
			char **mine = credentials_of(&c->clients[i], kind);

			for (; mine != NULL && *mine != NULL; mine++) {
				const struct conf_client *owner = owner_before(c, i, kind, *mine);

				if (owner != NULL)
					return conf_fail_at(
					    l, e, CONF_CLIENT, i, credentials[kind].name,
					    "%s: \"%s\" is client \"%s\" already",
					    credentials[kind].name, *mine, owner->name);
			}
		}
	}
	return 0;
}

static int
check_top(const struct conf *c, const struct conf_load *l, struct bd_err *e)
{
	if (c->agency_count == 0)
		return 0; /* a register on its own has nothing to seal */
	if (c->secret == NULL)
		return conf_fail_at(l, e, CONF_TOP, 0, "secret",
				    "\"secret\" is missing (a file of 32 random bytes)");
	if (c->trust == NULL)
		return conf_fail_at(l, e, CONF_TOP, 0, "trust",
				    "\"trust\" is missing (the providers' root certificates)");
	if (c->seal_key_count == 0)
		return conf_fail_at(l, e, CONF_SEAL_KEY, 0, NULL,
				    "there is no seal-key section: nothing could be sealed");
	return 0;
}

static int
check_milter(const struct conf *c, const struct conf_load *l, struct bd_err *e)
{
	if (c->milter.message_size > c->milter.memory)
		return conf_fail_at(l, e, CONF_MILTER, 0, "memory",
				    "memory must hold a mail of message-size at least");
	if (c->milter.message_size > c->milter.mail_work)
		return conf_fail_at(l, e, CONF_MILTER, 0, "mail-work",
				    "mail-work must not be below message-size");
	if (c->milter.package_size > 50000000)
		return conf_fail_at(l, e, CONF_MILTER, 0, "package-size",
				    "package-size: the access point takes 50M at most");
	return 0;
}

static bool
is_plain_http(const char *url)
{
	return url != NULL && strncmp(url, "http://", 7) == 0;
}

static int
check_services(const struct conf *c, const struct conf_load *l, struct bd_err *e)
{
	const char *audience = c->maskinporten.audience, *url = c->access_point.url;

	if (is_plain_http(url) && !c->access_point.insecure_loopback)
		return conf_fail_at(l, e, CONF_ACCESS_POINT, 0, "url",
				    "url: http needs insecure-loopback = yes");
	if (url != NULL && url[strlen(url) - 1] == '/')
		return conf_fail_at(l, e, CONF_ACCESS_POINT, 0, "url",
				    "url must not end in a slash");
	if (is_plain_http(c->maskinporten.token_url) && !c->maskinporten.insecure_loopback)
		return conf_fail_at(l, e, CONF_MASKINPORTEN, 0, "token-url",
				    "token-url: http needs insecure-loopback = yes");
	if (audience != NULL && audience[strlen(audience) - 1] != '/')
		return conf_fail_at(l, e, CONF_MASKINPORTEN, 0, "audience",
				    "audience must end in a slash, as the token service writes it");
	if (!conf_has_section(l, CONF_TRANSPORT) || strcmp(c->transport.driver, "dpi") != 0)
		return 0;
	if (url == NULL)
		return conf_fail_at(l, e, CONF_TRANSPORT, 0, "driver",
				    "driver dpi needs an access-point section");
	if (audience == NULL)
		return conf_fail_at(l, e, CONF_TRANSPORT, 0, "driver",
				    "driver dpi needs a maskinporten section");
	return 0;
}

int
conf_check(const struct conf *c, const struct conf_load *l, struct bd_err *e)
{
	for (size_t i = 0; i < c->agency_count; i++)
		if (check_agency(c, l, i, e) == -1)
			return -1;
	for (size_t i = 0; i < c->domain_count; i++)
		if (check_domain(c, l, i, e) == -1)
			return -1;
	for (size_t i = 0; i < c->client_count; i++)
		if (check_client(c, l, i, e) == -1)
			return -1;
	if (check_credentials(c, l, e) == -1 || check_top(c, l, e) == -1 ||
	    check_milter(c, l, e) == -1)
		return -1;
	return check_services(c, l, e);
}
