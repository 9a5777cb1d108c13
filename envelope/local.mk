# envelope: the letter and its sealing
EXTRA_DIST += envelope/letter.h envelope/nationalid.h envelope/cert.h envelope/package.h \
	envelope/sealed.h envelope/jwt.h envelope/sbd.h envelope/maskinporten.h
ENVELOPE_LIBS = $(XMLSEC_LIBS) $(XML_LIBS) $(ZIP_LIBS) $(OPENSSL_LIBS)
