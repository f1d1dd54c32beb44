//! What a role may do (draft-ietf-mimi-room-policy-03, "Role Capabilities").

use conclave_mls::wire::codec::{Decode, DecodeError, Encode, EncodeError, Reader, Writer};
use core::fmt;

/// What the holder of a role may do. It can hold any 16-bit value: those that are not known here are kept.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Capability(pub u16);

macro_rules! capabilities {
    ($($(#[$meta:meta])* $const:ident = $value:literal $name:literal),* $(,)?) => {
        impl Capability {
            $($(#[$meta])* pub const $const: Self = Self($value);)*

            /// All that have a name.
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
    /// To bring users into the participant list, with their clients.
    ADD_PARTICIPANT = 0x0000 "canAddParticipant",
    /// To take users out of the participant list, with all their clients.
    REMOVE_PARTICIPANT = 0x0001 "canRemoveParticipant",
    /// To bring in clients of the own user.
    ADD_OWN_CLIENT = 0x0002 "canAddOwnClient",
    /// To take out clients of the own user.
    REMOVE_OWN_CLIENT = 0x0003 "canRemoveOwnClient",
    /// To join as anybody. Of role 0 alone.
    OPEN_JOIN = 0x0004 "canOpenJoin",
    /// To join, if preauthorized for the role.
    JOIN_IF_PREAUTHORIZED = 0x0005 "canJoinIfPreauthorized",
    /// To leave the participant list.
    REMOVE_SELF = 0x0006 "canRemoveSelf",
    /// To make links to join by.
    CREATE_JOIN_CODE = 0x0007 "canCreateJoinCode",
    /// To revoke links to join by.
    DELETE_JOIN_CODE = 0x0008 "canDeleteJoinCode",
    /// To join by a link.
    USE_JOIN_CODE = 0x0009 "canUseJoinCode",
    /// To ban users.
    BAN = 0x000a "canBan",
    /// To let banned users take part again.
    UNBAN = 0x000b "canUnBan",
    /// To take out clients of others, who stay participants.
    KICK = 0x000c "canKick",
    /// To ask to be let in.
    KNOCK = 0x000d "canKnock",
    /// To let in somebody who asks.
    ACCEPT_KNOCK = 0x000e "canAcceptKnock",
    /// To change the roles of others.
    CHANGE_USER_ROLE = 0x000f "canChangeUserRole",
    /// To take the role that one is preauthorized for.
    CHANGE_OWN_ROLE = 0x0010 "canChangeOwnRole",
    /// To begin rooms that depend on this one.
    CREATE_SUBGROUP = 0x0011 "canCreateSubgroup",
    /// To write messages.
    SEND_MESSAGE = 0x0100 "canSendMessage",
    /// To read messages.
    RECEIVE_MESSAGE = 0x0101 "canReceiveMessage",
    /// To copy from messages.
    COPY_MESSAGE = 0x0102 "canCopyMessage",
    /// To report a message.
    REPORT_ABUSE = 0x0103 "canReportAbuse",
    /// To reply.
    REPLY_TO_MESSAGE = 0x0104 "canReplyToMessage",
    /// To react.
    REACT_TO_MESSAGE = 0x0105 "canReactToMessage",
    /// To replace one's reactions.
    EDIT_REACTION = 0x0106 "canEditReaction",
    /// To take back one's reactions.
    DELETE_OWN_REACTION = 0x0107 "canDeleteOwnReaction",
    /// To delete others' reactions.
    DELETE_OTHER_REACTION = 0x0108 "canDeleteOtherReaction",
    /// To edit one's messages.
    EDIT_OWN_MESSAGE = 0x0109 "canEditOwnMessage",
    /// To delete one's messages.
    DELETE_OWN_MESSAGE = 0x010a "canDeleteOwnMessage",
    /// To delete others' messages.
    DELETE_OTHER_MESSAGE = 0x010b "canDeleteOtherMessage",
    /// To give a message a topic.
    START_TOPIC = 0x010c "canStartTopic",
    /// To reply within a topic.
    REPLY_IN_TOPIC = 0x010d "canReplyInTopic",
    /// To change the topic of one's message.
    EDIT_OWN_TOPIC = 0x010e "canEditOwnTopic",
    /// To change the topic of another's message.
    EDIT_OTHER_TOPIC = 0x010f "canEditOtherTopic",
    /// To write to one participant.
    SEND_DIRECT_MESSAGE = 0x0110 "canSendDirectMessage",
    /// To send targeted messages of MLS.
    TARGET_MESSAGE = 0x0111 "canTargetMessage",
    /// To send images.
    UPLOAD_IMAGE = 0x0200 "canUploadImage",
    /// To send recordings.
    UPLOAD_AUDIO = 0x0201 "canUploadAudio",
    /// To send films.
    UPLOAD_VIDEO = 0x0202 "canUploadVideo",
    /// To send files.
    UPLOAD_ATTACHMENT = 0x0203 "canUploadAttachment",
    /// To fetch images.
    DOWNLOAD_IMAGE = 0x0204 "canDownloadImage",
    /// To fetch recordings.
    DOWNLOAD_AUDIO = 0x0205 "canDownloadAudio",
    /// To fetch films.
    DOWNLOAD_VIDEO = 0x0206 "canDownloadVideo",
    /// To fetch files.
    DOWNLOAD_ATTACHMENT = 0x0207 "canDownloadAttachment",
    /// To send links.
    SEND_LINK = 0x0208 "canSendLink",
    /// To send previews of links.
    SEND_LINK_PREVIEW = 0x0209 "canSendLinkPreview",
    /// To follow links.
    FOLLOW_LINK = 0x020a "canFollowLink",
    /// To copy links.
    COPY_LINK = 0x020b "canCopyLink",
    /// To change the room's name.
    CHANGE_ROOM_NAME = 0x0300 "canChangeRoomName",
    /// To change the room's descriptions.
    CHANGE_ROOM_DESCRIPTION = 0x0301 "canChangeRoomDescription",
    /// To change the room's picture.
    CHANGE_ROOM_AVATAR = 0x0302 "canChangeRoomAvatar",
    /// To change the room's subject, which messengers call its topic.
    CHANGE_ROOM_SUBJECT = 0x0303 "canChangeRoomSubject",
    /// To change the room's mood.
    CHANGE_ROOM_MOOD = 0x0304 "canChangeRoomMood",
    /// To change one's name in the room.
    CHANGE_OWN_NAME = 0x0380 "canChangeOwnName",
    /// To change one's presence.
    CHANGE_OWN_PRESENCE = 0x0381 "canChangeOwnPresence",
    /// To change one's mood.
    CHANGE_OWN_MOOD = 0x0382 "canChangeOwnMood",
    /// To change one's picture.
    CHANGE_OWN_AVATAR = 0x0383 "canChangeOwnAvatar",
    /// To begin calls.
    START_CALL = 0x0400 "canStartCall",
    /// To join calls.
    JOIN_CALL = 0x0401 "canJoinCall",
    /// To speak in calls.
    SEND_AUDIO = 0x0402 "canSendAudio",
    /// To listen in calls.
    RECEIVE_AUDIO = 0x0403 "canReceiveAudio",
    /// To be seen in calls.
    SEND_VIDEO = 0x0404 "canSendVideo",
    /// To see others in calls.
    RECEIVE_VIDEO = 0x0405 "canReceiveVideo",
    /// To share a screen.
    SHARE_SCREEN = 0x0406 "canShareScreen",
    /// To see a shared screen.
    VIEW_SHARED_SCREEN = 0x0407 "canViewSharedScreen",
    /// To make rooms.
    CREATE_ROOM = 0x0500 "canCreateRoom",
    /// To destroy the room.
    DESTROY_ROOM = 0x0501 "canDestroyRoom",
    /// To change the base policy.
    CHANGE_ROOM_MEMBERSHIP_STYLE = 0x0502 "canChangeRoomMembershipStyle",
    /// To define roles.
    CHANGE_ROLE_DEFINITIONS = 0x0503 "canChangeRoleDefinitions",
    /// To preauthorize users.
    CHANGE_PREAUTHORIZED_USER_LIST = 0x0504 "canChangePreauthorizedUserList",
    /// To change the other components of the room's policy: links, expiry, history, status notifications.
    CHANGE_OTHER_POLICY_ATTRIBUTE = 0x0505 "canChangeOtherPolicyAttribute",
    /// To change what the group demands of clients: extensions of the GroupContext.
    CHANGE_MLS_OPERATIONAL_POLICIES = 0x0600 "canChangeMlsOperationalPolicies",
    /// To close the group for another.
    SEND_MLS_REINIT_PROPOSAL = 0x0601 "canSendMLSReinitProposal",
    /// To send Update proposals.
    SEND_MLS_UPDATE_PROPOSAL = 0x0602 "canSendMLSUpdateProposal",
    /// To inject PSKs.
    SEND_MLS_PSK_PROPOSAL = 0x0603 "canSendMLSPSKProposal",
    /// To propose from outside.
    SEND_MLS_EXTERNAL_PROPOSAL = 0x0604 "canSendMLSExternalProposal",
    /// To commit from outside.
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
