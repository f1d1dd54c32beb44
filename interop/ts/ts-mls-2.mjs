// ts-mls 2.0, as driver.mjs calls it. It calls types by their numbers.
//
// What the package does not export, the codecs of trees and extensions and the parts of a suite, is imported by
// the path of its file.

import * as mls from "ts-mls-2"
import { uint16Encoder } from "./node_modules/ts-mls-2/dist/src/codec/number.js"
import { contramapBufferEncoders } from "./node_modules/ts-mls-2/dist/src/codec/tlsEncoder.js"
import { varLenDataEncoder } from "./node_modules/ts-mls-2/dist/src/codec/variableLength.js"
import { ciphersuiteValues } from "./node_modules/ts-mls-2/dist/src/crypto/ciphersuite.js"
import { makeHashImpl } from "./node_modules/ts-mls-2/dist/src/crypto/implementation/default/makeHashImpl.js"
import { makeHpke } from "./node_modules/ts-mls-2/dist/src/crypto/implementation/default/makeHpke.js"
import {
  makeKdf,
  makeKdfImpl,
} from "./node_modules/ts-mls-2/dist/src/crypto/implementation/default/makeKdfImpl.js"
import { makeNobleSignatureImpl } from "./node_modules/ts-mls-2/dist/src/crypto/implementation/default/makeNobleSignatureImpl.js"
import { defaultRng } from "./node_modules/ts-mls-2/dist/src/crypto/implementation/default/rng.js"
import {
  customExtensionDecoder,
  extensionEncoder,
  groupContextExtensionDecoder,
} from "./node_modules/ts-mls-2/dist/src/extension.js"
import { ratchetTreeDecoder, ratchetTreeEncoder } from "./node_modules/ts-mls-2/dist/src/ratchetTree.js"

export {
  branchGroup,
  bytesToBase64,
  createApplicationMessage,
  createCommit,
  createGroup,
  createProposal,
  generateKeyPackageWithKey as generateKeyPackage,
  joinGroup,
  joinGroupExternal,
  joinGroupFromBranch,
  mlsExporter,
  proposeAddExternal,
  proposeExternal,
} from "ts-mls-2"

export const types = {
  credential: (name) => mls.defaultCredentialTypes[name],
  node: (name) => mls.nodeTypes[name],
  proposal: (name) => mls.defaultProposalTypes[name],
  psk: (name) => mls.pskTypes[name],
  pskUsage: (name) => mls.resumptionPSKUsages[name],
  version: (name) => mls.protocolVersions[name],
  wireformat: (name) => mls.wireformats[name],
}

export const suite = (id) => id

export const ownSuites = Object.keys(mls.ciphersuites).map((name) => ({
  name,
  ...ciphersuiteValues[mls.ciphersuites[name]],
}))

export const ownImplementation = (id) => mls.defaultCryptoProvider.getCiphersuiteImpl(id)

/** An implementation of a suite that it does not have. */
export const implementation = async (id, { hash, hpke, signature }) => ({
  id,
  hash: makeHashImpl(crypto.subtle, hash),
  hpke: await makeHpke(hpke),
  kdf: makeKdfImpl(makeKdf(hpke.kdf)),
  rng: defaultRng,
  signature: await makeNobleSignatureImpl(signature),
})

const plainExtensionEncoder = contramapBufferEncoders([uint16Encoder, varLenDataEncoder], (pair) => pair)

export const toExtension = (kind, data) => {
  const decoded = groupContextExtensionDecoder(mls.encode(plainExtensionEncoder, [kind, data]), 0)
  if (decoded === undefined) throw new Error(`could not decode an extension of type ${kind}`)
  return decoded[0]
}

export const fromExtension = (extension) => {
  const [{ extensionType, extensionData }] = customExtensionDecoder(
    mls.encode(extensionEncoder, extension),
    0,
  )
  return { kind: extensionType, data: extensionData }
}

export const encodeMessage = (message) => mls.encode(mls.mlsMessageEncoder, message)
export const decodeMessage = (input) => mls.mlsMessageDecoder(input, 0)
export const encodeTree = (tree) => mls.encode(ratchetTreeEncoder, tree)
export const decodeTree = (input) => ratchetTreeDecoder(input, 0)[0]

/**
 * Processes a message. ts-mls 2.0 does not notice that a commit removes it: it goes on to the path, fails there,
 * and never returns if its leaf is outside of the new tree. The host has to look for itself.
 */
const process = (how) => async (params) => {
  let removed = false
  const callback = ({ kind, proposals }) => {
    removed = kind === "commit" && proposals.some((p) => removes(p, params.state))
    return removed ? "reject" : "accept"
  }
  const result = await how({ ...params, callback })
  if (!removed) return result
  const groupActiveState = { kind: "removedFromGroup" }
  return { ...result, newState: { ...result.newState, groupActiveState } }
}
const removes = ({ proposal }, state) =>
  proposal.proposalType === types.proposal("remove") &&
  proposal.remove.removed === state.privatePath.leafIndex

export const processPrivateMessage = process(mls.processPrivateMessage)
export const processPublicMessage = process(mls.processPublicMessage)

export const createGroupInfo = ({ context, state, tree }) => {
  const make = tree
    ? mls.createGroupInfoWithExternalPubAndRatchetTree
    : mls.createGroupInfoWithExternalPub
  return make(state, [], context.cipherSuite)
}

/** What gives the suite of a successor, which is otherwise looked up by its name in its own table. */
const provider = ({ cipherSuite }) => ({ getCiphersuiteImpl: async () => cipherSuite })

export const reinitCreateNewGroup = (params) =>
  mls.reinitCreateNewGroup({ ...params, provider: provider(params.context) })

export const joinGroupFromReinit = (params) =>
  mls.joinGroupFromReinit({ ...params, provider: provider(params.context) })

/** Fails if the host need not look for its removal any more. */
export async function checkNeeded() {
  const cipherSuite = await ownImplementation(1)
  const context = { cipherSuite, authService: mls.unsafeTestingAuthenticationService }
  const client = (name) => {
    const credential = { credentialType: types.credential("basic"), identity: Uint8Array.of(name) }
    return mls.generateKeyPackage({ credential, cipherSuite })
  }

  // A group of four, of whom the first removes the second and the third: the tree keeps its size.
  const founder = await client(0)
  const others = await Promise.all([1, 2, 3].map(client))
  const state = await mls.createGroup({
    context,
    groupId: new Uint8Array(),
    keyPackage: founder.publicPackage,
    privateKeyPackage: founder.privatePackage,
  })
  const added = await mls.createCommit({
    context,
    state,
    ratchetTreeExtension: true,
    extraProposals: others.map(({ publicPackage }) => ({
      proposalType: types.proposal("add"),
      add: { keyPackage: publicPackage },
    })),
  })
  const [removed, , stays] = await Promise.all(
    others.map(({ publicPackage, privatePackage }) =>
      mls.joinGroup({
        context,
        welcome: added.welcome.welcome,
        keyPackage: publicPackage,
        privateKeys: privatePackage,
      }),
    ),
  )
  const { commit } = await mls.createCommit({
    context,
    state: added.newState,
    wireAsPublicMessage: true,
    extraProposals: [1, 2].map((leaf) => ({
      proposalType: types.proposal("remove"),
      remove: { removed: leaf },
    })),
  })

  const { publicMessage } = commit
  await mls.processPublicMessage({ context, state: stays, publicMessage })
  const noticed = await mls.processPublicMessage({ context, state: removed, publicMessage }).then(
    () => true,
    () => false,
  )
  if (noticed) throw new Error("ts-mls 2 notices its removal now: take `process` out of ts-mls-2.mjs")
}
