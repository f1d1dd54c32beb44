// ts-mls 1.6 in the shape of 2.0: parameters by name, a context instead of a cipher suite and a PSK index.
// It calls types by their names.

import * as mls from "ts-mls-1"
import { defaultClientConfig } from "ts-mls-1/clientConfig.js"
import { defaultExtensionTypes } from "ts-mls-1/defaultExtensionType.js"
import { decodeRatchetTree, encodeRatchetTree } from "ts-mls-1/ratchetTree.js"

export {
  bytesToBase64,
  encodeMlsMessage as encodeMessage,
  mlsExporter,
  proposeAddExternal,
  proposeExternal,
} from "ts-mls-1"
export { encodeRatchetTree as encodeTree }

const named = (name) => name
export const types = {
  credential: named,
  node: named,
  proposal: named,
  psk: named,
  pskUsage: named,
  version: named,
  wireformat: named,
}

/** A suite that it does not know is called by its number. */
export const suite = (id) =>
  Object.keys(mls.ciphersuites).find((name) => mls.ciphersuites[name] === id) ?? `${id}`

export const ownSuites = Object.keys(mls.ciphersuites).map((name) => ({
  name,
  ...mls.getCiphersuiteFromName(name),
}))

export const ownImplementation = (id) => mls.getCiphersuiteImpl(mls.getCiphersuiteFromName(suite(id)))

/** An implementation of a suite that it does not have. */
export const implementation = (id, components) =>
  mls.getCiphersuiteImpl({ ...components, name: suite(id) })

const extensionName = (kind) =>
  Object.keys(defaultExtensionTypes).find((name) => defaultExtensionTypes[name] === kind) ?? kind

export const toExtension = (kind, data) => ({ extensionType: extensionName(kind), extensionData: data })

export const fromExtension = ({ extensionType, extensionData }) => ({
  kind: defaultExtensionTypes[extensionType] ?? extensionType,
  data: extensionData,
})

export const decodeMessage = (input) => mls.decodeMlsMessage(input, 0)

export const decodeTree = (input) => decodeRatchetTree(input, 0)[0]

/** What finds the PSKs of a client that is in a group, or in none yet. */
const psks = ({ externalPsks }, state) => mls.makePskIndex(state, externalPsks)

/** What gives the suite of a successor, which is otherwise looked up in its own table. */
const provider = ({ cipherSuite }) => ({ getCiphersuiteImpl: async () => cipherSuite })

export const generateKeyPackage = (p) =>
  mls.generateKeyPackageWithKey(
    p.credential,
    p.capabilities,
    p.lifetime,
    p.extensions,
    p.signatureKeyPair,
    p.cipherSuite,
  )

export const createGroup = (p) =>
  mls.createGroup(
    p.groupId,
    p.keyPackage,
    p.privateKeyPackage,
    p.extensions,
    p.context.cipherSuite,
    defaultClientConfig,
  )

export const joinGroup = (p) =>
  mls.joinGroup(
    p.welcome,
    p.keyPackage,
    p.privateKeys,
    psks(p.context),
    p.context.cipherSuite,
    p.ratchetTree,
    undefined,
    defaultClientConfig,
  )

export const joinGroupExternal = (p) =>
  mls.joinGroupExternal(
    p.groupInfo,
    p.keyPackage,
    p.privateKeys,
    p.resync,
    p.context.cipherSuite,
    p.tree,
    defaultClientConfig,
  )

export const createGroupInfo = ({ context, state, tree }) => {
  const make = tree
    ? mls.createGroupInfoWithExternalPubAndRatchetTree
    : mls.createGroupInfoWithExternalPub
  return make(state, [], context.cipherSuite)
}

export const createProposal = (p) =>
  mls.createProposal(p.state, p.wireAsPublicMessage, p.proposal, p.context.cipherSuite)

export const createCommit = async ({ context, state, ...options }) => {
  const { cipherSuite } = context
  const pskIndex = psks(context, state)
  const made = await mls.createCommit({ state, cipherSuite, pskIndex }, options)
  return { ...made, welcome: asMessage(made.welcome) }
}

export const createApplicationMessage = async (p) => {
  const { cipherSuite } = p.context
  const made = await mls.createApplicationMessage(p.state, p.message, cipherSuite, p.authenticatedData)
  const { newState, privateMessage } = made
  return {
    newState,
    message: { privateMessage, wireformat: "mls_private_message", version: "mls10" },
  }
}

export const processPrivateMessage = async ({ context, state, privateMessage }) => {
  const { cipherSuite } = context
  const pskIndex = psks(context, state)
  const result = await mls.processPrivateMessage(state, privateMessage, pskIndex, cipherSuite)
  return { ...result, aad: privateMessage.authenticatedData }
}

export const processPublicMessage = ({ context, state, publicMessage }) =>
  mls.processPublicMessage(state, publicMessage, psks(context, state), context.cipherSuite)

export const reinitCreateNewGroup = async (p) => {
  const made = await mls.reinitCreateNewGroup(
    p.state,
    p.keyPackage,
    p.privateKeyPackage,
    p.memberKeyPackages,
    p.groupId,
    p.cipherSuite,
    p.extensions,
    provider(p.context),
  )
  return { ...made, welcome: asMessage(made.welcome) }
}

export const joinGroupFromReinit = (p) =>
  mls.joinGroupFromReinit(
    p.suspendedState,
    p.welcome,
    p.keyPackage,
    p.privateKeyPackage,
    p.ratchetTree,
    provider(p.context),
  )

export const branchGroup = async (p) => {
  const made = await mls.branchGroup(
    p.state,
    p.keyPackage,
    p.privateKeyPackage,
    p.memberKeyPackages,
    p.newGroupId,
    p.context.cipherSuite,
  )
  return { ...made, welcome: asMessage(made.welcome) }
}

export const joinGroupFromBranch = (p) =>
  mls.joinGroupFromBranch(
    p.oldState,
    p.welcome,
    p.keyPackage,
    p.privateKeyPackage,
    p.ratchetTree,
    p.context.cipherSuite,
  )

const asMessage = (welcome) =>
  welcome === undefined ? undefined : { welcome, wireformat: "mls_welcome", version: "mls10" }
