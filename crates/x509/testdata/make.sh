#!/bin/sh
# Makes the chains of this folder with OpenSSL 3: a root, a CA and a member each.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT

key() { # FILE ALGORITHM
    case $2 in
    P-*) openssl genpkey -algorithm EC -pkeyopt "ec_paramgen_curve:$2" -out "$work/$1" ;;
    rsa) openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$work/$1" ;;
    *) openssl genpkey -algorithm "$2" -out "$work/$1" ;;
    esac
}

chain() { # NAME ALGORITHM-OF-CAS ALGORITHM-OF-MEMBER HASH
    key root.key "$2"
    key ca.key "$2"
    key member.key "$3"
    openssl req -x509 -new -key "$work/root.key" -subj "/CN=root" -days 36500 "-$4" \
        -addext "keyUsage=critical,keyCertSign,cRLSign" -outform DER -out "$1-root.der"
    openssl x509 -inform DER -in "$1-root.der" -out "$work/root.pem"
    openssl req -x509 -new -key "$work/ca.key" -subj "/O=Example/CN=ca" -days 36500 "-$4" \
        -CA "$work/root.pem" -CAkey "$work/root.key" \
        -addext "basicConstraints=critical,CA:TRUE,pathlen:0" \
        -addext "keyUsage=critical,keyCertSign" -outform DER -out "$1-ca.der"
    openssl x509 -inform DER -in "$1-ca.der" -out "$work/ca.pem"
    openssl req -x509 -new -key "$work/member.key" -subj "/CN=Alice" -days 36500 "-$4" \
        -CA "$work/ca.pem" -CAkey "$work/ca.key" \
        -addext "basicConstraints=critical,CA:FALSE" \
        -addext "keyUsage=critical,digitalSignature" \
        -addext "extendedKeyUsage=1.3.6.1.5.5.7.3.40" \
        -addext "subjectAltName=email:alice@example.org,URI:im:alice@example.org" \
        -outform DER -out "$1-member.der"
}

# Hashes of Edwards curves are fixed; the option has no effect.
chain ed25519 ed25519 ed25519 sha256
chain ed448 ed448 ed448 sha256
chain p256 P-256 P-256 sha256
chain p384 P-384 P-384 sha384
chain p521 P-521 P-521 sha512
chain rsa rsa ed25519 sha256
chain p521-sha256 P-521 ed25519 sha256

# A root whose RSA key is too short, and a member right below it.
openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:1024 -out "$work/root.key"
openssl req -x509 -new -key "$work/root.key" -subj "/CN=root" -days 36500 -sha256 \
    -addext "keyUsage=critical,keyCertSign" -outform DER -out rsa1024-root.der
openssl x509 -inform DER -in rsa1024-root.der -out "$work/root.pem"
key member.key ed25519
openssl req -x509 -new -key "$work/member.key" -subj "/CN=Alice" -days 36500 -sha256 \
    -CA "$work/root.pem" -CAkey "$work/root.key" \
    -addext "basicConstraints=critical,CA:FALSE" \
    -addext "subjectAltName=email:alice@example.org" -outform DER -out rsa1024-member.der

# Keys as files, one for each kind, and their public halves; and a file of two certificates.
for algorithm in ed25519 ed448 P-256 P-384 P-521; do
    name=$(echo "$algorithm" | tr -d - | tr P p)
    key "$name-key.pem" "$algorithm"
    mv "$work/$name-key.pem" .
    openssl pkey -in "$name-key.pem" -pubout -outform DER -out "$name-public.der"
done
openssl x509 -inform DER -in p256-root.der >two.pem
openssl x509 -inform DER -in p256-ca.der >>two.pem
