//! What a group requires of components, and what its members say about theirs
//! (draft-ietf-mls-extensions-10).

use crate::error::Error;
use crate::event::Member;
use crate::view::GroupView;
use alloc::vec::Vec;
use conclave_tree::TreeRead;
use conclave_wire::{
    AppDataDictionary, ApplicationFraming, Bytes, ComponentId, Decode, Encode, LeafIndex,
    MediaType, MediaTypeList,
};

/// # Components
impl<'a> GroupView<'a> {
    /// The data of a component in the GroupContext, which all members agree on.
    ///
    /// # Errors
    /// None in a group whose extensions were checked.
    pub fn component_data(self, component_id: ComponentId) -> Result<Option<Bytes>, Error> {
        Ok(AppDataDictionary::find_data(self.extensions(), component_id)?.map(Into::into))
    }

    /// The data of a component in the leaf of a member. None if it has none, or there is no member.
    ///
    /// # Errors
    /// None in a group whose leaf nodes were checked.
    pub fn member_component_data(
        self,
        leaf: LeafIndex,
        component_id: ComponentId,
    ) -> Result<Option<Bytes>, Error> {
        let Some(leaf) = self.tree.leaf(leaf) else { return Ok(None) };
        Ok(AppDataDictionary::find_data(&leaf.extensions, component_id)?.map(Into::into))
    }

    /// The media types that all members must be able to receive: the component `content_media_types` of
    /// the GroupContext. None if the group does not frame its application data.
    ///
    /// # Errors
    /// If the component's data is malformed or lists none.
    pub fn required_media_types(self) -> Result<Option<MediaTypeList>, Error> {
        let data = self.component_data(ComponentId::CONTENT_MEDIA_TYPES)?;
        Ok(data.map(|data| MediaTypeList::from_bytes(&data)).transpose()?)
    }

    /// The members whose leaf does not list a media type. A client should add nobody who lacks one that
    /// the group requires; nothing refuses it, because a client may know better than a leaf says.
    ///
    /// A media type is listed if type and subtype are, in upper or lower case, with the same parameters. A
    /// malformed list lists nothing.
    pub fn members_without(self, media_type: &MediaType) -> impl Iterator<Item = Member> {
        let lists = move |data: &[u8]| {
            MediaTypeList::from_bytes(data)
                .is_ok_and(|list| list.media_types().iter().any(|listed| same(listed, media_type)))
        };
        self.members().filter(move |member| {
            let data = self.member_component_data(member.index, ComponentId::CONTENT_MEDIA_TYPES);
            !data.ok().flatten().is_some_and(|data| lists(&data))
        })
    }

    /// Content as application data: in a group with [required media types](Self::required_media_types),
    /// an encoded [`ApplicationFraming`], in others as it is. Without a media type it is of the first one
    /// that the group requires.
    ///
    /// ```
    #[doc = two_members!()]
    /// let data = alice.view().frame_content(None, b"hello")?;
    /// assert_eq!(data, b"hello"); // This group requires no media types.
    /// # Done::Ok(())
    /// ```
    ///
    /// # Errors
    /// If the required media types are malformed, or the content is too long to encode.
    pub fn frame_content(
        self,
        media_type: Option<MediaType>,
        content: &[u8],
    ) -> Result<Vec<u8>, Error> {
        if self.required_media_types()?.is_none() {
            return Ok(content.to_vec());
        }
        let media_type = media_type.unwrap_or_default();
        let inner_application_content = content.into();
        Ok(ApplicationFraming { media_type, inner_application_content }.to_bytes()?)
    }

    /// The content of application data, with its media type: None in a group without [required media
    /// types](Self::required_media_types).
    ///
    /// # Errors
    /// [`Error::Malformed`] if the group frames its application data, and this is none.
    pub fn open_content(self, data: &[u8]) -> Result<(Option<MediaType>, Bytes), Error> {
        let Some(required) = self.required_media_types()? else { return Ok((None, data.into())) };
        let framing = ApplicationFraming::from_bytes(data)?;
        let media_type = framing.media_type_in(&required).clone();
        Ok((Some(media_type), framing.inner_application_content))
    }
}

fn same(a: &MediaType, b: &MediaType) -> bool {
    a.type_and_subtype.eq_ignore_ascii_case(&b.type_and_subtype) && a.parameters == b.parameters
}
