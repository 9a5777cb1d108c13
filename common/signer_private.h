/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_COMMON_SIGNER_PRIVATE_H
#define BD_COMMON_SIGNER_PRIVATE_H

/*
 * What signer.c (the daemon's side), signer_child.c (the process with the keys) and procs.c say to
 * each other over SOCK_SEQPACKET pairs. One message, one answer.
 *
 *   procs -> child   one byte SIGNER_CONNECT and the connection's descriptor
 *   child -> procs   one byte SIGNER_OK, at start also SIGNER_FAILED and words
 *   daemon -> child  label's length (one byte), label, 32 bytes of digest
 *   child -> daemon  SIGNER_OK and the signature, or SIGNER_FAILED and words
 */

#include "common/encode.h"

#define SIGNER_CONNECT 'C'
#define SIGNER_OK 'k'
#define SIGNER_FAILED 'e'
#define SIGNER_LABEL_BYTES 255
#define SIGNER_REQUEST_BYTES (1 + SIGNER_LABEL_BYTES + SHA256_BYTES)
#define SIGNER_ANSWER_BYTES 1100 /* a signature of an RSA key of 8192 bits, or words */

#endif
