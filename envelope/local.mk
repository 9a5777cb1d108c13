# envelope: the letter and its sealing
noinst_LIBRARIES += envelope/libenvelope.a
envelope_libenvelope_a_SOURCES = \
	envelope/asice.c envelope/asice.h \
	envelope/cert.c envelope/cert.h \
	envelope/cms.c envelope/cms_kek.c envelope/cms.h \
	envelope/control.c \
	envelope/der.c envelope/der.h \
	envelope/doctype.c envelope/doctype.h \
	envelope/jwt.c envelope/jwt.h \
	envelope/ids.c \
	envelope/letter.c envelope/letter.h \
	envelope/manifest.c envelope/manifest.h \
	envelope/maskinporten.c envelope/maskinporten.h \
	envelope/nationalid.c envelope/nationalid.h \
	envelope/ossl.c envelope/ossl.h \
	envelope/package.c envelope/package.h \
	envelope/sbd.c envelope/sbd.h \
	envelope/sealed.c envelope/sealed.h \
	envelope/sealkey.c \
	envelope/xades.c envelope/xades_shape.c envelope/xades_verify.c envelope/xades.h \
	envelope/xml.c envelope/xml.h
envelope_libenvelope_a_CFLAGS = $(AM_CFLAGS) $(XMLSEC_CFLAGS) $(XML_CFLAGS) $(ZIP_CFLAGS)
ENVELOPE_LIBS = envelope/libenvelope.a $(XMLSEC_LIBS) $(XML_LIBS) $(ZIP_LIBS) $(OPENSSL_LIBS)
