use super::{Decode, DecodeError, Encode, EncodeError, GroupId, Reader, Writer};

/// How a group ended. What comes into one that has ended is refused; its log stays.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ending {
    /// A member began this group in its place, by [`ResetGroup`](super::ResetGroup).
    Succeeded(GroupId),
    /// The service's administrator ended it, and no member has begun another in its place yet.
    Unsucceeded,
}

impl Ending {
    /// The group that took its place, if there is one.
    #[must_use]
    pub fn successor(&self) -> Option<&GroupId> {
        match self {
            Self::Succeeded(successor) => Some(successor),
            Self::Unsucceeded => None,
        }
    }
}

/// By the successor's identifier, which is empty for none: no group has an empty one.
impl From<GroupId> for Ending {
    fn from(successor: GroupId) -> Self {
        if successor.is_empty() { Self::Unsucceeded } else { Self::Succeeded(successor) }
    }
}

impl Encode for Ending {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        match self {
            Self::Succeeded(successor) => successor.encode(w),
            Self::Unsucceeded => GroupId::from(Vec::new()).encode(w),
        }
    }
}

impl Decode for Ending {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        GroupId::decode(r).map(Self::from)
    }
}
