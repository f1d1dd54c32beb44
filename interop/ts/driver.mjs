// Clients of ts-mls, driven by lines of JSON on standard input; one line of answer for each line.
// Bytes are written in hexadecimal.

import { createInterface } from "node:readline"
import { p256, p384, p521 } from "@noble/curves/nist.js"
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

const suiteName = (id) => Object.keys(ciphersuites).find((name) => ciphersuites[name] === id)
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
    this.cs = await getCiphersuiteImpl(getCiphersuiteFromName(suiteName(suite)))
    this.keys = await this.cs.signature.keygen()
    // ts-mls makes compressed ECDSA keys; RFC 9420 has uncompressed ones (section 5.1.1).
    const curve = { 2: p256, 5: p521, 7: p384 }[suite]
    if (curve !== undefined) this.keys.publicKey = curve.getPublicKey(this.keys.signKey, false)
  }

  async newKeyPackage({ lifetime, leeway, topic }) {
    const now = BigInt(Math.floor(Date.now() / 1000))
    const capabilities = {
      versions: ["mls10"],
      ciphersuites: [1, 2, 3, 4, 5, 6, 7].map(suiteName),
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
