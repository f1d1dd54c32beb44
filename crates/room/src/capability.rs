//! What the holder of a role may do (draft-ietf-mimi-room-policy-03, "Role Capabilities").

use conclave_mls::wire::codec::{Decode, DecodeError, Encode, EncodeError, Reader, Writer};
use core::fmt;

/// A capability of a role's holders. It can have any 16-bit value: those that are not known here are kept.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Capability(pub u16);

macro_rules! capabilities {
    ($($(#[$meta:meta])* $const:ident = $value:literal $name:literal),* $(,)?) => {
        impl Capability {
            $($(#[$meta])* pub const $const: Self = Self($value);)*

            /// All capabilities that have a name.
            pub const NAMED: &'static [Self] = &[$(Self::$const),*];
        }

        impl fmt::Display for Capability {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match *self {
                    $(Self::$const => f.write_str($name),)*
                    Self(other) => write!(f, "{other:#06x}"),
                }
            }
        }
    };
}

capabilities! {
    /// Bring users into the participant list, with their clients.
    ADD_PARTICIPANT = 0x0000 "canAddParticipant",
    /// Take users out of the participant list, with all their clients.
    REMOVE_PARTICIPANT = 0x0001 "canRemoveParticipant",
    /// Bring in clients of one's own user.
    ADD_OWN_CLIENT = 0x0002 "canAddOwnClient",
    /// Take out clients of one's own user.
    REMOVE_OWN_CLIENT = 0x0003 "canRemoveOwnClient",
    /// Join without a link or a preauthorization. Only role 0 may have it.
    OPEN_JOIN = 0x0004 "canOpenJoin",
    /// Join, if preauthorized for the role.
    JOIN_IF_PREAUTHORIZED = 0x0005 "canJoinIfPreauthorized",
    /// Leave the participant list.
    REMOVE_SELF = 0x0006 "canRemoveSelf",
    /// Make links to join by.
    CREATE_JOIN_CODE = 0x0007 "canCreateJoinCode",
    /// Revoke links to join by.
    DELETE_JOIN_CODE = 0x0008 "canDeleteJoinCode",
    /// Join by a link.
    USE_JOIN_CODE = 0x0009 "canUseJoinCode",
    /// Ban users.
    BAN = 0x000a "canBan",
    /// Let banned users take part again.
    UNBAN = 0x000b "canUnBan",
    /// Take out clients of others, who stay participants.
    KICK = 0x000c "canKick",
    /// Ask to be let in.
    KNOCK = 0x000d "canKnock",
    /// Let in somebody who asks.
    ACCEPT_KNOCK = 0x000e "canAcceptKnock",
    /// Change the roles of others.
    CHANGE_USER_ROLE = 0x000f "canChangeUserRole",
    /// Take the role that one is preauthorized for.
    CHANGE_OWN_ROLE = 0x0010 "canChangeOwnRole",
    /// Begin rooms that depend on this one.
    CREATE_SUBGROUP = 0x0011 "canCreateSubgroup",
    /// Write messages.
    SEND_MESSAGE = 0x0100 "canSendMessage",
    /// Read messages.
    RECEIVE_MESSAGE = 0x0101 "canReceiveMessage",
    /// Copy from messages.
    COPY_MESSAGE = 0x0102 "canCopyMessage",
    /// Report a message.
    REPORT_ABUSE = 0x0103 "canReportAbuse",
    /// Reply.
    REPLY_TO_MESSAGE = 0x0104 "canReplyToMessage",
    /// React.
    REACT_TO_MESSAGE = 0x0105 "canReactToMessage",
    /// Replace one's reactions.
    EDIT_REACTION = 0x0106 "canEditReaction",
    /// Take back one's reactions.
    DELETE_OWN_REACTION = 0x0107 "canDeleteOwnReaction",
    /// Delete others' reactions.
    DELETE_OTHER_REACTION = 0x0108 "canDeleteOtherReaction",
    /// Edit one's messages.
    EDIT_OWN_MESSAGE = 0x0109 "canEditOwnMessage",
    /// Delete one's messages.
    DELETE_OWN_MESSAGE = 0x010a "canDeleteOwnMessage",
    /// Delete others' messages.
    DELETE_OTHER_MESSAGE = 0x010b "canDeleteOtherMessage",
    /// Give a message a topic.
    START_TOPIC = 0x010c "canStartTopic",
    /// Reply within a topic.
    REPLY_IN_TOPIC = 0x010d "canReplyInTopic",
    /// Change the topic of one's message.
    EDIT_OWN_TOPIC = 0x010e "canEditOwnTopic",
    /// Change the topic of another's message.
    EDIT_OTHER_TOPIC = 0x010f "canEditOtherTopic",
    /// Write to one participant.
    SEND_DIRECT_MESSAGE = 0x0110 "canSendDirectMessage",
    /// Send targeted messages of MLS.
    TARGET_MESSAGE = 0x0111 "canTargetMessage",
    /// Send images.
    UPLOAD_IMAGE = 0x0200 "canUploadImage",
    /// Send recordings.
    UPLOAD_AUDIO = 0x0201 "canUploadAudio",
    /// Send films.
    UPLOAD_VIDEO = 0x0202 "canUploadVideo",
    /// Send files.
    UPLOAD_ATTACHMENT = 0x0203 "canUploadAttachment",
    /// Fetch images.
    DOWNLOAD_IMAGE = 0x0204 "canDownloadImage",
    /// Fetch recordings.
    DOWNLOAD_AUDIO = 0x0205 "canDownloadAudio",
    /// Fetch films.
    DOWNLOAD_VIDEO = 0x0206 "canDownloadVideo",
    /// Fetch files.
    DOWNLOAD_ATTACHMENT = 0x0207 "canDownloadAttachment",
    /// Send links.
    SEND_LINK = 0x0208 "canSendLink",
    /// Send previews of links.
    SEND_LINK_PREVIEW = 0x0209 "canSendLinkPreview",
    /// Follow links.
    FOLLOW_LINK = 0x020a "canFollowLink",
    /// Copy links.
    COPY_LINK = 0x020b "canCopyLink",
    /// Change the room's name.
    CHANGE_ROOM_NAME = 0x0300 "canChangeRoomName",
    /// Change the room's descriptions.
    CHANGE_ROOM_DESCRIPTION = 0x0301 "canChangeRoomDescription",
    /// Change the room's picture.
    CHANGE_ROOM_AVATAR = 0x0302 "canChangeRoomAvatar",
    /// Change the room's subject, which messengers call its topic.
    CHANGE_ROOM_SUBJECT = 0x0303 "canChangeRoomSubject",
    /// Change the room's mood.
    CHANGE_ROOM_MOOD = 0x0304 "canChangeRoomMood",
    /// Change one's name in the room.
    CHANGE_OWN_NAME = 0x0380 "canChangeOwnName",
    /// Change one's presence.
    CHANGE_OWN_PRESENCE = 0x0381 "canChangeOwnPresence",
    /// Change one's mood.
    CHANGE_OWN_MOOD = 0x0382 "canChangeOwnMood",
    /// Change one's picture.
    CHANGE_OWN_AVATAR = 0x0383 "canChangeOwnAvatar",
    /// Begin calls.
    START_CALL = 0x0400 "canStartCall",
    /// Join calls.
    JOIN_CALL = 0x0401 "canJoinCall",
    /// Speak in calls.
    SEND_AUDIO = 0x0402 "canSendAudio",
    /// Listen in calls.
    RECEIVE_AUDIO = 0x0403 "canReceiveAudio",
    /// Be seen in calls.
    SEND_VIDEO = 0x0404 "canSendVideo",
    /// See others in calls.
    RECEIVE_VIDEO = 0x0405 "canReceiveVideo",
    /// Share a screen.
    SHARE_SCREEN = 0x0406 "canShareScreen",
    /// See a shared screen.
    VIEW_SHARED_SCREEN = 0x0407 "canViewSharedScreen",
    /// Make rooms.
    CREATE_ROOM = 0x0500 "canCreateRoom",
    /// Destroy the room.
    DESTROY_ROOM = 0x0501 "canDestroyRoom",
    /// Change the base policy.
    CHANGE_ROOM_MEMBERSHIP_STYLE = 0x0502 "canChangeRoomMembershipStyle",
    /// Define roles.
    CHANGE_ROLE_DEFINITIONS = 0x0503 "canChangeRoleDefinitions",
    /// Preauthorize users.
    CHANGE_PREAUTHORIZED_USER_LIST = 0x0504 "canChangePreauthorizedUserList",
    /// Change the other components of the room's policy: links, expiry, history, status notifications.
    CHANGE_OTHER_POLICY_ATTRIBUTE = 0x0505 "canChangeOtherPolicyAttribute",
    /// Change what the group demands of clients: extensions of the GroupContext.
    CHANGE_MLS_OPERATIONAL_POLICIES = 0x0600 "canChangeMlsOperationalPolicies",
    /// Close the group for another.
    SEND_MLS_REINIT_PROPOSAL = 0x0601 "canSendMLSReinitProposal",
    /// Send Update proposals.
    SEND_MLS_UPDATE_PROPOSAL = 0x0602 "canSendMLSUpdateProposal",
    /// Inject PSKs.
    SEND_MLS_PSK_PROPOSAL = 0x0603 "canSendMLSPSKProposal",
    /// Propose from outside.
    SEND_MLS_EXTERNAL_PROPOSAL = 0x0604 "canSendMLSExternalProposal",
    /// Commit from outside.
    SEND_MLS_EXTERNAL_COMMIT = 0x0605 "canSendMLSExternalCommit",
}

impl fmt::Debug for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Encode for Capability {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        self.0.encode(w)
    }
}

impl Decode for Capability {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        u16::decode(r).map(Self)
    }
}
