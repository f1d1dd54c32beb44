// Clients of ts-mls, driven by lines of JSON on standard input; one line of answer for each line.
// Bytes are written in hexadecimal.

import { createHash } from "node:crypto"
import { createInterface } from "node:readline"
import { XWing } from "@hpke/hybridkem-x-wing"
import { MlKem1024, MlKem768 } from "@hpke/ml-kem"
import { p256, p384, p521 } from "@noble/curves/nist.js"
import { ml_dsa44, ml_dsa65 } from "@noble/post-quantum/ml-dsa.js"
import {
  bytesToBase64,
  ciphersuites,
  createApplicationMessage,
  createCommit,
  createGroup,
  createGroupInfoWithExternalPub,
  createGroupInfoWithExternalPubAndRatchetTree,
  createProposal,
  decodeMlsMessage,
  encodeMlsMessage,
  generateKeyPackageWithKey,
  getCiphersuiteFromName,
  getCiphersuiteImpl,
  joinGroup,
  joinGroupExternal,
  joinGroupFromBranch,
  joinGroupFromReinit,
  branchGroup,
  makePskIndex,
  mlsExporter,
  processPrivateMessage,
  processPublicMessage,
  proposeAddExternal,
  proposeExternal,
  reinitCreateNewGroup,
} from "ts-mls"
import { defaultClientConfig } from "ts-mls/clientConfig.js"
import { defaultExtensionTypes } from "ts-mls/defaultExtensionType.js"
import { decodeRatchetTree, encodeRatchetTree } from "ts-mls/ratchetTree.js"

const hex = (bytes) => Buffer.from(bytes).toString("hex")
const bytes = (text) => Uint8Array.from(Buffer.from(text, "hex"))

/** ts-mls calls what it does not know by its number. */
const suiteName = (id) => Object.keys(ciphersuites).find((name) => ciphersuites[name] === id) ?? `${id}`

/**
 * The suites of draft-ietf-mls-pq-ciphersuites-06, at the code points of suite.rs. ts-mls has others: with
 * HKDF-SHA512 all of them.
 */
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
    return [id, { hash, hpke: { kem, kdf, aead }, signature, name: suiteName(id) }]
  }),
)

for (const own of Object.keys(ciphersuites).map(getCiphersuiteFromName)) {
  const components = ({ hash, hpke, signature }) => JSON.stringify([hash, hpke.kem, hpke.kdf, hpke.aead, signature])
  if (Object.values(draftSuites).some((suite) => components(suite) === components(own))) {
    throw new Error(`ts-mls has a suite of the draft now: take ${own.name} out of draftSuites`)
  }
}

/** The KEMs of @hpke, and how they make a key pair of its seed. */
const kems = {
  "X-Wing": [new XWing(), (kem, seed) => kem.generateKeyPairDerand(seed)],
  "ML-KEM-768": [new MlKem768(), (kem, seed) => kem.deriveKeyPair(seed)],
  "ML-KEM-1024": [new MlKem1024(), (kem, seed) => kem.deriveKeyPair(seed)],
}

/**
 * DeriveKeyPair of draft-ietf-hpke-pq, sections 3 and 4. @hpke takes SHAKE256(ikm) for the seed of X-Wing, and
 * for that of ML-KEM the ikm itself, which then has to be of 64 bytes.
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

for (const [name, [kem]] of Object.entries(kems)) {
  const ikm = new Uint8Array(64)
  const [own, draft] = [await kem.deriveKeyPair(ikm), await deriveKeyPair(name, ikm)]
  if (hex(own.publicKey.key) === hex(draft.publicKey.key)) {
    throw new Error(`@hpke derives key pairs of ${name} as the draft has it now: take it out of kems`)
  }
}

/** ML-DSA of another strength than ts-mls has. */
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

async function implementation(id) {
  const draft = draftSuites[id]
  if (draft === undefined) return getCiphersuiteImpl(getCiphersuiteFromName(suiteName(id)))
  const made = await getCiphersuiteImpl(draft)
  const signature = { "ML-DSA-44": mlDsa(ml_dsa44), "ML-DSA-65": mlDsa(ml_dsa65) }[draft.signature]
  const { kem } = draft.hpke
  return {
    ...made,
    hpke: { ...made.hpke, deriveKeyPair: (ikm) => deriveKeyPair(kem, ikm) },
    signature: signature ?? made.signature,
  }
}

const extensionName = (kind) =>
  Object.keys(defaultExtensionTypes).find((name) => defaultExtensionTypes[name] === kind) ?? kind
const extensions = (list) =>
  list.map((e) => ({ extensionType: extensionName(e.kind), extensionData: bytes(e.data) }))

function decode(text, wireformat) {
  const input = bytes(text)
  const decoded = decodeMlsMessage(input, 0)
  if (decoded === undefined) throw new Error("could not decode the message")
  if (decoded[1] !== input.length) throw new Error("bytes are left over")
  if (wireformat !== undefined && decoded[0].wireformat !== wireformat) {
    throw new Error(`not ${wireformat} but ${decoded[0].wireformat}`)
  }
  return decoded[0]
}

const encodeKeyPackage = (keyPackage) =>
  hex(encodeMlsMessage({ keyPackage, wireformat: "mls_key_package", version: "mls10" }))
const encodeWelcome = (welcome) =>
  welcome === undefined
    ? null
    : hex(encodeMlsMessage({ welcome, wireformat: "mls_welcome", version: "mls10" }))
const tree = (text) => (text === null ? undefined : decodeRatchetTree(bytes(text), 0)[0])

class Client {
  constructor(name, suite) {
    this.name = bytes(name)
    this.suite = suite
    this.keyPackages = []
    this.psks = {}
    this.config = defaultClientConfig
  }

  async use(suite) {
    this.suite = suite
    this.cs = await implementation(suite)
    this.keys = await this.cs.signature.keygen()
    // ts-mls makes compressed ECDSA keys; RFC 9420 has uncompressed ones (section 5.1.1).
    const curve = { 2: p256, 5: p521, 7: p384, 0x50: p256, 0x42: p384 }[suite]
    if (curve !== undefined) this.keys.publicKey = curve.getPublicKey(this.keys.signKey, false)
  }

  /** What gives ts-mls the suite of a successor, whose own table it looks into otherwise. */
  provider() {
    return { getCiphersuiteImpl: async () => this.cs }
  }

  async newKeyPackage({ lifetime, leeway, topic, suites }) {
    const now = BigInt(Math.floor(Date.now() / 1000))
    const capabilities = {
      versions: ["mls10"],
      ciphersuites: suites.map(suiteName),
      extensions: [topic],
      proposals: [],
      credentials: ["basic"],
    }
    return generateKeyPackageWithKey(
      { credentialType: "basic", identity: this.name },
      capabilities,
      { notBefore: now - BigInt(leeway), notAfter: now + BigInt(lifetime) },
      [],
      this.keys,
      this.cs,
    )
  }

  index() {
    return makePskIndex(this.state, this.psks)
  }

  nonce() {
    return this.cs.rng.randomBytes(this.cs.kdf.size)
  }

  proposal(change) {
    switch (change.kind) {
      case "add":
        return {
          proposalType: "add",
          add: { keyPackage: decode(change.key_package, "mls_key_package").keyPackage },
        }
      case "remove":
        return { proposalType: "remove", remove: { removed: change.leaf } }
      case "external_psk":
        return {
          proposalType: "psk",
          psk: {
            preSharedKeyId: {
              psktype: "external",
              pskId: bytes(change.id),
              pskNonce: this.nonce(),
            },
          },
        }
      case "resumption_psk":
        return {
          proposalType: "psk",
          psk: {
            preSharedKeyId: {
              psktype: "resumption",
              usage: "application",
              pskGroupId: this.state.groupContext.groupId,
              pskEpoch: BigInt(change.epoch),
              pskNonce: this.nonce(),
            },
          },
        }
      case "extensions":
        return {
          proposalType: "group_context_extensions",
          groupContextExtensions: { extensions: extensions(change.extensions) },
        }
      case "reinit":
        return {
          proposalType: "reinit",
          reinit: {
            groupId: bytes(change.group_id),
            version: "mls10",
            cipherSuite: suiteName(change.suite),
            extensions: extensions(change.extensions),
          },
        }
      default:
        throw new Error(`ts-mls cannot make the proposal ${change.kind}`)
    }
  }

  /** Tries the own key packages, the newest first: one of them is meant. */
  async joinWith(join) {
    let reason = new Error("no key package")
    for (const own of this.keyPackages.toReversed()) {
      try {
        const state = await join(own)
        this.keyPackages = this.keyPackages.filter((other) => other !== own)
        return state
      } catch (error) {
        if (error.message !== "Could not decode group secrets") throw error
        reason = error
      }
    }
    throw reason
  }
}

const clients = new Map()

const operations = {
  async client(_, { id, name, suite }) {
    const client = new Client(name, suite)
    await client.use(suite)
    clients.set(id, client)
  },
  async drop(_, { id }) {
    clients.delete(id)
  },
  async key_package(client, request) {
    const own = await client.newKeyPackage(request)
    client.keyPackages.push(own)
    return encodeKeyPackage(own.publicPackage)
  },
  async stack_keys(client) {
    client.keys = await client.cs.signature.keygen()
  },
  async create(client, request) {
    const own = await client.newKeyPackage(request)
    client.state = await createGroup(
      bytes(request.group_id),
      own.publicPackage,
      own.privatePackage,
      extensions(request.extensions),
      client.cs,
      client.config,
    )
  },
  async join(client, request) {
    const { welcome } = decode(request.welcome, "mls_welcome")
    client.state = await client.joinWith((own) =>
      joinGroup(
        welcome,
        own.publicPackage,
        own.privatePackage,
        makePskIndex(undefined, client.psks),
        client.cs,
        tree(request.tree),
        undefined,
        client.config,
      ),
    )
  },
  async join_external(client, request) {
    if (request.psk !== null) throw new Error("ts-mls injects no PSK when it joins")
    const { groupInfo } = decode(request.group_info, "mls_group_info")
    const own = await client.newKeyPackage(request)
    const joined = await joinGroupExternal(
      groupInfo,
      own.publicPackage,
      own.privatePackage,
      request.resync,
      client.cs,
      tree(request.tree),
      client.config,
    )
    client.state = joined.newState
    return hex(
      encodeMlsMessage({
        publicMessage: joined.publicMessage,
        wireformat: "mls_public_message",
        version: "mls10",
      }),
    )
  },
  async group_info(client, request) {
    const make = request.tree
      ? createGroupInfoWithExternalPubAndRatchetTree
      : createGroupInfoWithExternalPub
    const groupInfo = await make(client.state, [], client.cs)
    return hex(encodeMlsMessage({ groupInfo, wireformat: "mls_group_info", version: "mls10" }))
  },
  async tree(client) {
    return hex(encodeRatchetTree(client.state.ratchetTree))
  },
  async know_psk(client, { psk, secret }) {
    client.psks[bytesToBase64(bytes(psk))] = bytes(secret)
  },
  async propose(client, request) {
    const proposal = client.proposal(request.change)
    const made = await createProposal(client.state, !request.private, proposal, client.cs)
    client.state = made.newState
    return hex(encodeMlsMessage(made.message))
  },
  async commit(client, request) {
    const made = await createCommit(
      { state: client.state, cipherSuite: client.cs, pskIndex: client.index() },
      {
        wireAsPublicMessage: !request.private,
        extraProposals: request.changes.map((change) => client.proposal(change)),
        ratchetTreeExtension: request.tree,
      },
    )
    client.pending = made.newState
    return { commit: hex(encodeMlsMessage(made.commit)), welcome: encodeWelcome(made.welcome) }
  },
  async accept(client) {
    if (client.pending === undefined) throw new Error("no commit is pending")
    client.state = client.pending
    client.pending = undefined
  },
  async discard(client) {
    client.pending = undefined
  },
  async receive(client, request) {
    const message = decode(request.message)
    const before = client.state.groupContext.epoch
    const private_ = message.wireformat === "mls_private_message"
    const result = private_
      ? await processPrivateMessage(client.state, message.privateMessage, client.index(), client.cs)
      : await processPublicMessage(client.state, message.publicMessage, client.index(), client.cs)
    client.state = result.newState
    if (private_ && result.kind === "applicationMessage") {
      return {
        kind: "data",
        data: hex(result.message),
        authenticated_data: hex(message.privateMessage.authenticatedData),
      }
    }
    const active = client.state.groupActiveState.kind
    if (active === "removedFromGroup") return { kind: "removed" }
    if (active === "suspendedPendingReinit") return { kind: "closed" }
    return { kind: client.state.groupContext.epoch === before ? "proposal" : "epoch" }
  },
  async send(client, request) {
    const made = await createApplicationMessage(
      client.state,
      bytes(request.data),
      client.cs,
      bytes(request.authenticated_data),
    )
    client.state = made.newState
    return hex(
      encodeMlsMessage({
        privateMessage: made.privateMessage,
        wireformat: "mls_private_message",
        version: "mls10",
      }),
    )
  },
  async view(client, request) {
    const { groupContext, keySchedule, ratchetTree } = client.state
    const exported = await mlsExporter(
      keySchedule.exporterSecret,
      request.label,
      bytes(request.context),
      request.length,
      client.cs,
    )
    const leaves = ratchetTree.flatMap((node, place) =>
      node?.nodeType === "leaf" ? [[place / 2, hex(node.leaf.credential.identity)]] : [],
    )
    return {
      epoch: Number(groupContext.epoch),
      authenticator: hex(keySchedule.epochAuthenticator),
      exported: hex(exported),
      roster: leaves,
      extensions: groupContext.extensions.map((e) => ({
        kind: defaultExtensionTypes[e.extensionType] ?? e.extensionType,
        data: hex(e.extensionData),
      })),
    }
  },
  async signature_key(client) {
    return hex(client.keys.publicKey)
  },
  async propose_outside(client, request) {
    const { groupInfo } = decode(request.group_info, "mls_group_info")
    let message
    if (request.change === null) {
      const own = await client.newKeyPackage(request)
      client.keyPackages.push(own)
      message = await proposeAddExternal(
        groupInfo,
        own.publicPackage,
        own.privatePackage,
        client.cs,
      )
    } else {
      const { publicKey, signKey } = client.keys
      const proposal = client.proposal(request.change)
      message = await proposeExternal(groupInfo, proposal, publicKey, signKey, client.cs)
    }
    return hex(encodeMlsMessage(message))
  },
  async reinit_key_package(client, request) {
    if (request.suite !== client.suite) await client.use(request.suite)
    return operations.key_package(client, request)
  },
  async reinit(client, request) {
    if (request.suite !== client.suite) await client.use(request.suite)
    const own = await client.newKeyPackage(request)
    const made = await reinitCreateNewGroup(
      client.state,
      own.publicPackage,
      own.privatePackage,
      request.key_packages.map((kp) => decode(kp, "mls_key_package").keyPackage),
      bytes(request.group_id),
      suiteName(request.suite),
      extensions(request.extensions),
      client.provider(),
    )
    client.state = made.newState
    return encodeWelcome(made.welcome)
  },
  async join_reinit(client, request) {
    const { welcome } = decode(request.welcome, "mls_welcome")
    const old = client.state
    client.state = await client.joinWith((own) =>
      joinGroupFromReinit(
        old,
        welcome,
        own.publicPackage,
        own.privatePackage,
        tree(request.tree),
        client.provider(),
      ),
    )
  },
  async branch(client, request) {
    const own = await client.newKeyPackage(request)
    const made = await branchGroup(
      client.state,
      own.publicPackage,
      own.privatePackage,
      request.key_packages.map((kp) => decode(kp, "mls_key_package").keyPackage),
      bytes(request.group_id),
      client.cs,
    )
    client.state = made.newState
    return encodeWelcome(made.welcome)
  },
  async join_branch(client, request) {
    const { welcome } = decode(request.welcome, "mls_welcome")
    const old = client.state
    client.state = await client.joinWith((own) =>
      joinGroupFromBranch(
        old,
        welcome,
        own.publicPackage,
        own.privatePackage,
        tree(request.tree),
        client.cs,
      ),
    )
  },
}

for await (const line of createInterface({ input: process.stdin })) {
  let answer
  try {
    const request = JSON.parse(line)
    const client = clients.get(request.id)
    const operation = operations[request.op]
    if (operation === undefined) throw new Error(`no operation ${request.op}`)
    answer = { ok: (await operation(client, request)) ?? null }
  } catch (error) {
    answer = { error: `${error?.name}: ${error?.message}` }
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`)
}
