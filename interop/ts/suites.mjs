// The suites of draft-ietf-mls-pq-ciphersuites-06, which neither version of ts-mls has, made of its parts.

import { createHash } from "node:crypto"
import { XWing } from "@hpke/hybridkem-x-wing"
import { MlKem1024, MlKem768 } from "@hpke/ml-kem"
import { ml_dsa44, ml_dsa65 } from "@noble/post-quantum/ml-dsa.js"

/** At the code points of suite.rs. The suites of ts-mls itself all have HKDF-SHA512. */
const draftSuites = Object.fromEntries(
  [
    [0x004f, "X-Wing", "HKDF-SHA256", "AES128GCM", "Ed25519"],
    [0x004e, "X-Wing", "HKDF-SHA384", "AES256GCM", "Ed25519"],
    [0xf042, "ML-KEM-768", "HKDF-SHA384", "AES256GCM", "Ed25519"],
    [0x0050, "ML-KEM-768", "HKDF-SHA384", "AES256GCM", "P256"],
    [0x0042, "ML-KEM-1024", "HKDF-SHA384", "AES256GCM", "P384"],
    [0x0052, "X-Wing", "HKDF-SHA384", "CHACHA20POLY1305", "ML-DSA-44"],
    [0x0051, "ML-KEM-768", "HKDF-SHA384", "AES256GCM", "ML-DSA-65"],
    [0x0907, "ML-KEM-1024", "HKDF-SHA384", "AES256GCM", "ML-DSA-87"],
  ].map(([id, kem, kdf, aead, signature]) => {
    const hash = kdf.replace("HKDF-SHA", "SHA-")
    return [id, { hash, hpke: { kem, kdf, aead }, signature }]
  }),
)

/** The KEMs of @hpke, and how each makes a key pair from its seed. */
const kems = {
  "X-Wing": [new XWing(), (kem, seed) => kem.generateKeyPairDerand(seed)],
  "ML-KEM-768": [new MlKem768(), (kem, seed) => kem.deriveKeyPair(seed)],
  "ML-KEM-1024": [new MlKem1024(), (kem, seed) => kem.deriveKeyPair(seed)],
}

/**
 * DeriveKeyPair of draft-ietf-hpke-pq, sections 3 and 4. @hpke uses SHAKE256(ikm) as the seed of X-Wing, and for
 * ML-KEM the ikm itself, which then has to have 64 bytes.
 */
async function deriveKeyPair(name, ikm) {
  const [kem, fromSeed] = kems[name]
  const text = (string) => new TextEncoder().encode(string)
  const number = (n) => Uint8Array.of(n >> 8, n & 255)
  const [label, length] = [text("DeriveKeyPair"), kem.privateKeySize]
  const hash = createHash("shake256", { outputLength: length })
  const id = [text("KEM"), number(kem.id)]
  for (const part of [ikm, text("HPKE-v1"), ...id, number(label.length), label, number(length)]) {
    hash.update(part)
  }
  return fromSeed(kem, Uint8Array.from(hash.digest()))
}

/** ML-DSA of a strength that ts-mls lacks. */
const mlDsa = (scheme) => ({
  async sign(signKey, message) {
    return scheme.sign(message, signKey)
  },
  async verify(publicKey, message, signature) {
    return scheme.verify(signature, message, publicKey)
  },
  async keygen() {
    const keys = scheme.keygen(crypto.getRandomValues(new Uint8Array(32)))
    return { signKey: keys.secretKey, publicKey: keys.publicKey }
  },
})

/** Fails if what is made up for here is there now. */
export async function checkNeeded(mls) {
  const components = ({ hash, hpke, signature }) =>
    JSON.stringify([hash, hpke.kem, hpke.kdf, hpke.aead, signature])
  for (const own of mls.ownSuites) {
    if (Object.values(draftSuites).some((suite) => components(suite) === components(own))) {
      throw new Error(`ts-mls has a suite of the draft now: take ${own.name} out of draftSuites`)
    }
  }
  for (const [name, [kem]] of Object.entries(kems)) {
    const ikm = new Uint8Array(64)
    const [own, draft] = [await kem.deriveKeyPair(ikm), await deriveKeyPair(name, ikm)]
    if (Buffer.compare(Buffer.from(own.publicKey.key), Buffer.from(draft.publicKey.key)) === 0) {
      throw new Error(`@hpke derives key pairs of ${name} as the draft has it now: take it out of kems`)
    }
  }
}

/** The implementation of a suite of RFC 9420 or of the draft. */
export async function implementation(mls, id) {
  const draft = draftSuites[id]
  if (draft === undefined) return mls.ownImplementation(id)
  const made = await mls.implementation(id, draft)
  const signature = { "ML-DSA-44": mlDsa(ml_dsa44), "ML-DSA-65": mlDsa(ml_dsa65) }[draft.signature]
  const { kem } = draft.hpke
  return {
    ...made,
    hpke: { ...made.hpke, deriveKeyPair: (ikm) => deriveKeyPair(kem, ikm) },
    signature: signature ?? made.signature,
  }
}
