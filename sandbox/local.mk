# sandbox: stand-ins for the national services; links common and envelope only
bin_PROGRAMS += brevdue-sandbox
noinst_LIBRARIES += sandbox/libsandbox.a
sandbox_libsandbox_a_SOURCES = \
	sandbox/accesspoint.c \
	sandbox/checks.c sandbox/checks.h \
	sandbox/faults.c sandbox/faults.h \
	sandbox/html.c sandbox/html.h \
	sandbox/inspect.c \
	sandbox/keep.c sandbox/keep.h \
	sandbox/mailbox.c sandbox/mailbox.h \
	sandbox/page.c sandbox/page.h \
	sandbox/page_letter.c \
	sandbox/page_tools.c \
	sandbox/pki.c sandbox/pki.h \
	sandbox/receipts.c sandbox/receipts.h \
	sandbox/register.c sandbox/register.h \
	sandbox/sandbox.h \
	sandbox/schema.c sandbox/schema.h \
	sandbox/style_css.h \
	sandbox/token.c sandbox/token.h \
	sandbox/web.c sandbox/web.h
sandbox_libsandbox_a_CFLAGS = $(AM_CFLAGS) $(MHD_CFLAGS)
brevdue_sandbox_SOURCES = sandbox/main.c
brevdue_sandbox_LDADD = sandbox/libsandbox.a $(ENVELOPE_LIBS) $(COMMON_LIBS) $(MHD_LIBS)
EXTRA_DIST += sandbox/persons.json

# the register used when no --persons is given, as a C string
sandbox/persons_json.h: $(srcdir)/sandbox/persons.json
	$(AM_V_GEN)$(MKDIR_P) sandbox && \
	{ echo 'static const char persons_json[] ='; \
	  sed -e 's/[\\"]/\\&/g' -e 's/^/"/' -e 's/$$/\\n"/' $(srcdir)/sandbox/persons.json; \
	  echo ';'; } > $@.new && mv $@.new $@
sandbox/libsandbox_a-register.$(OBJEXT): sandbox/persons_json.h
CLEANFILES += sandbox/persons_json.h
