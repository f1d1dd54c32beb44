// Clients of ts-mls, driven by lines of JSON on standard input; one line of answer for each line.
// Bytes are written in hexadecimal. The argument is the version: 1 or 2.

import { createInterface } from "node:readline"
import { p256, p384, p521 } from "@noble/curves/nist.js"
import { checkNeeded, implementation } from "./suites.mjs"

const mls = await import(`./ts-mls-${process.argv[2]}.mjs`)
const { types } = mls
await checkNeeded(mls)
await mls.checkNeeded?.()

const hex = (bytes) => Buffer.from(bytes).toString("hex")
const bytes = (text) => Uint8Array.from(Buffer.from(text, "hex"))
const extensions = (list) => list.map((e) => mls.toExtension(e.kind, bytes(e.data)))
const tree = (text) => (text === null ? undefined : mls.decodeTree(bytes(text)))

/** Decodes a message, of the given wire formats if any are given. */
function decode(text, ...names) {
  const input = bytes(text)
  const decoded = mls.decodeMessage(input)
  if (decoded === undefined) throw new Error("could not decode the message")
  const [message, length] = decoded
  if (length !== input.length) throw new Error("bytes are left over")
  if (names.length > 0 && !names.map(types.wireformat).includes(message.wireformat)) {
    throw new Error(`not ${names.join(" or ")} but ${message.wireformat}`)
  }
  return message
}

const decodeKeyPackage = (text) => decode(text, "mls_key_package").keyPackage

/** Encodes a message, or what a message of the wire format of this name holds. */
const encode = (message) => hex(mls.encodeMessage(message))
const encodeAs = (name, content) =>
  encode({ ...content, wireformat: types.wireformat(name), version: types.version("mls10") })
const encodeKeyPackage = (keyPackage) => encodeAs("mls_key_package", { keyPackage })
const encodeWelcome = (welcome) => (welcome === undefined ? null : encode(welcome))

class Client {
  constructor(name, suite) {
    this.name = bytes(name)
    this.suite = suite
    this.keyPackages = []
    this.psks = {}
  }

  async use(suite) {
    this.suite = suite
    this.cs = await implementation(mls, suite)
    this.keys = await this.cs.signature.keygen()
    // ts-mls makes compressed ECDSA keys; section 5.1.1 asks for uncompressed ones.
    const curve = { 2: p256, 5: p521, 7: p384, 0x50: p256, 0x42: p384 }[suite]
    if (curve !== undefined) this.keys.publicKey = curve.getPublicKey(this.keys.signKey, false)
  }

  get context() {
    return {
      cipherSuite: this.cs,
      externalPsks: this.psks,
      authService: { validateCredential: async () => true },
    }
  }

  async newKeyPackage({ lifetime, leeway, topic, suites }) {
    const now = BigInt(Math.floor(Date.now() / 1000))
    return mls.generateKeyPackage({
      credential: { credentialType: types.credential("basic"), identity: this.name },
      capabilities: {
        versions: [types.version("mls10")],
        ciphersuites: suites.map(mls.suite),
        extensions: [topic],
        proposals: [],
        credentials: [types.credential("basic")],
      },
      lifetime: { notBefore: now - BigInt(leeway), notAfter: now + BigInt(lifetime) },
      extensions: [],
      signatureKeyPair: this.keys,
      cipherSuite: this.cs,
    })
  }

  nonce() {
    return this.cs.rng.randomBytes(this.cs.kdf.size)
  }

  /** The PreSharedKey proposal of a PSK. */
  psk(psktype, id) {
    const preSharedKeyId = { psktype: types.psk(psktype), ...id, pskNonce: this.nonce() }
    return { psk: { preSharedKeyId } }
  }

  proposal(change) {
    const made = (name, content) => ({ proposalType: types.proposal(name), ...content })
    switch (change.kind) {
      case "add":
        return made("add", { add: { keyPackage: decodeKeyPackage(change.key_package) } })
      case "remove":
        return made("remove", { remove: { removed: change.leaf } })
      case "external_psk":
        return made("psk", this.psk("external", { pskId: bytes(change.id) }))
      case "resumption_psk":
        return made(
          "psk",
          this.psk("resumption", {
            usage: types.pskUsage("application"),
            pskGroupId: this.state.groupContext.groupId,
            pskEpoch: BigInt(change.epoch),
          }),
        )
      case "extensions":
        return made("group_context_extensions", {
          groupContextExtensions: { extensions: extensions(change.extensions) },
        })
      case "reinit":
        return made("reinit", {
          reinit: {
            groupId: bytes(change.group_id),
            version: types.version("mls10"),
            cipherSuite: mls.suite(change.suite),
            extensions: extensions(change.extensions),
          },
        })
      default:
        throw new Error(`ts-mls cannot make the proposal ${change.kind}`)
    }
  }

  /** Tries our key packages, the newest first: the Welcome is for one of them. */
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
    client.state = await mls.createGroup({
      context: client.context,
      groupId: bytes(request.group_id),
      keyPackage: own.publicPackage,
      privateKeyPackage: own.privatePackage,
      extensions: extensions(request.extensions),
    })
  },
  async join(client, request) {
    const { welcome } = decode(request.welcome, "mls_welcome")
    client.state = await client.joinWith((own) =>
      mls.joinGroup({
        context: client.context,
        welcome,
        keyPackage: own.publicPackage,
        privateKeys: own.privatePackage,
        ratchetTree: tree(request.tree),
      }),
    )
  },
  async join_external(client, request) {
    if (request.psk !== null) throw new Error("ts-mls takes no PSK for an external commit")
    const { groupInfo } = decode(request.group_info, "mls_group_info")
    const own = await client.newKeyPackage(request)
    const { newState, publicMessage } = await mls.joinGroupExternal({
      context: client.context,
      groupInfo,
      keyPackage: own.publicPackage,
      privateKeys: own.privatePackage,
      resync: request.resync,
      tree: tree(request.tree),
    })
    client.state = newState
    return encodeAs("mls_public_message", { publicMessage })
  },
  async group_info(client, request) {
    const { context, state } = client
    const groupInfo = await mls.createGroupInfo({ context, state, tree: request.tree })
    return encodeAs("mls_group_info", { groupInfo })
  },
  async tree(client) {
    return hex(mls.encodeTree(client.state.ratchetTree))
  },
  async know_psk(client, { psk, secret }) {
    client.psks[mls.bytesToBase64(bytes(psk))] = bytes(secret)
  },
  async propose(client, request) {
    const { newState, message } = await mls.createProposal({
      context: client.context,
      state: client.state,
      wireAsPublicMessage: !request.private,
      proposal: client.proposal(request.change),
    })
    client.state = newState
    return encode(message)
  },
  async commit(client, request) {
    const { newState, commit, welcome } = await mls.createCommit({
      context: client.context,
      state: client.state,
      wireAsPublicMessage: !request.private,
      extraProposals: request.changes.map((change) => client.proposal(change)),
      ratchetTreeExtension: request.tree,
    })
    client.pending = newState
    return { commit: encode(commit), welcome: encodeWelcome(welcome) }
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
    const message = decode(request.message, "mls_public_message", "mls_private_message")
    const before = client.state.groupContext.epoch
    const params = { context: client.context, state: client.state, ...message }
    const encrypted = message.privateMessage !== undefined
    const result = encrypted
      ? await mls.processPrivateMessage(params)
      : await mls.processPublicMessage(params)
    client.state = result.newState
    if (result.kind === "applicationMessage") {
      return { kind: "data", data: hex(result.message), authenticated_data: hex(result.aad) }
    }
    const active = client.state.groupActiveState.kind
    if (active === "removedFromGroup") return { kind: "removed" }
    if (active === "suspendedPendingReinit") return { kind: "closed" }
    return { kind: client.state.groupContext.epoch === before ? "proposal" : "epoch" }
  },
  async send(client, request) {
    const { newState, message } = await mls.createApplicationMessage({
      context: client.context,
      state: client.state,
      message: bytes(request.data),
      authenticatedData: bytes(request.authenticated_data),
    })
    client.state = newState
    return encode(message)
  },
  async view(client, request) {
    const { groupContext, keySchedule, ratchetTree } = client.state
    const exported = await mls.mlsExporter(
      keySchedule.exporterSecret,
      request.label,
      bytes(request.context),
      request.length,
      client.cs,
    )
    const leaves = ratchetTree.flatMap((node, place) =>
      node?.nodeType === types.node("leaf") ? [[place / 2, hex(node.leaf.credential.identity)]] : [],
    )
    return {
      epoch: Number(groupContext.epoch),
      authenticator: hex(keySchedule.epochAuthenticator),
      exported: hex(exported),
      roster: leaves,
      extensions: groupContext.extensions.map((extension) => {
        const { kind, data } = mls.fromExtension(extension)
        return { kind, data: hex(data) }
      }),
    }
  },
  async signature_key(client) {
    return hex(client.keys.publicKey)
  },
  async propose_outside(client, request) {
    const { groupInfo } = decode(request.group_info, "mls_group_info")
    if (request.change === null) {
      const own = await client.newKeyPackage(request)
      client.keyPackages.push(own)
      const { publicPackage, privatePackage } = own
      return encode(await mls.proposeAddExternal(groupInfo, publicPackage, privatePackage, client.cs))
    }
    const { publicKey, signKey } = client.keys
    const proposal = client.proposal(request.change)
    return encode(await mls.proposeExternal(groupInfo, proposal, publicKey, signKey, client.cs))
  },
  async reinit_key_package(client, request) {
    if (request.suite !== client.suite) await client.use(request.suite)
    return operations.key_package(client, request)
  },
  async reinit(client, request) {
    if (request.suite !== client.suite) await client.use(request.suite)
    const own = await client.newKeyPackage(request)
    const made = await mls.reinitCreateNewGroup({
      context: client.context,
      state: client.state,
      keyPackage: own.publicPackage,
      privateKeyPackage: own.privatePackage,
      memberKeyPackages: request.key_packages.map(decodeKeyPackage),
      groupId: bytes(request.group_id),
      cipherSuite: mls.suite(request.suite),
      extensions: extensions(request.extensions),
    })
    client.state = made.newState
    return encodeWelcome(made.welcome)
  },
  async join_reinit(client, request) {
    const { welcome } = decode(request.welcome, "mls_welcome")
    const old = client.state
    client.state = await client.joinWith((own) =>
      mls.joinGroupFromReinit({
        context: client.context,
        suspendedState: old,
        welcome,
        keyPackage: own.publicPackage,
        privateKeyPackage: own.privatePackage,
        ratchetTree: tree(request.tree),
      }),
    )
  },
  async branch(client, request) {
    const own = await client.newKeyPackage(request)
    const made = await mls.branchGroup({
      context: client.context,
      state: client.state,
      keyPackage: own.publicPackage,
      privateKeyPackage: own.privatePackage,
      memberKeyPackages: request.key_packages.map(decodeKeyPackage),
      newGroupId: bytes(request.group_id),
    })
    client.state = made.newState
    return encodeWelcome(made.welcome)
  },
  async join_branch(client, request) {
    const { welcome } = decode(request.welcome, "mls_welcome")
    const old = client.state
    client.state = await client.joinWith((own) =>
      mls.joinGroupFromBranch({
        context: client.context,
        oldState: old,
        welcome,
        keyPackage: own.publicPackage,
        privateKeyPackage: own.privatePackage,
        ratchetTree: tree(request.tree),
      }),
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
