//! Media types of application data.

use super::*;
use crate::Event;
use conclave_wire::{ApplicationFraming, DecodeError, MediaType, MediaTypeList};

fn text() -> MediaType {
    MediaType::new("text/plain").with_parameter("charset", "UTF-8")
}

fn media_types(leaf: LeafParams, types: &MediaTypeList) -> LeafParams {
    let types = types.to_bytes().unwrap();
    leaf.with_component(ComponentId::CONTENT_MEDIA_TYPES, types).unwrap()
}

#[test]
fn members_who_do_not_list_a_media_type_are_found() {
    let png = MediaType::new("image/png");
    let both = MediaTypeList::new(text()).and(png.clone());
    let malformed = with_components("carol").with_component(ComponentId::CONTENT_MEDIA_TYPES, [0]);
    let peers = group(
        vec![
            media_types(with_components("alice"), &both),
            media_types(with_components("bob"), &MediaTypeList::new(png.clone())),
            malformed.unwrap(),
            leaf_params("dave"),
        ],
        vec![],
    );
    let without = |media_type: &MediaType| -> Vec<u32> {
        peers[0].group.view().members_without(media_type).map(|member| member.index.0).collect()
    };
    assert_eq!(without(&text()), [1, 2, 3]);
    assert_eq!(without(&png), [2, 3]);
    assert_eq!(without(&MediaType::new("Image/PNG")), [2, 3]);
    // Other parameters make another media type.
    assert_eq!(without(&MediaType::new("text/plain")), [0, 1, 2, 3]);
}

#[test]
fn content_is_framed_where_the_group_requires_media_types() {
    let required = MediaTypeList::new(text()).and(MediaType::new("image/png"));
    let types = dictionary(ComponentId::CONTENT_MEDIA_TYPES, &required.to_bytes().unwrap());
    let leaves = ["alice", "bob"].map(|name| media_types(with_components(name), &required));
    let mut peers = group(leaves.into(), vec![types]);
    assert_eq!(peers[1].group.view().required_media_types().unwrap(), Some(required));

    for (given, want) in
        [(None, text()), (Some(MediaType::new("image/png")), MediaType::new("image/png"))]
    {
        let data = peers[0].group.view().frame_content(given.clone(), b"hello").unwrap();
        let framing: ApplicationFraming = conclave_wire::Decode::from_bytes(&data).unwrap();
        assert_eq!(framing.media_type, given.unwrap_or_default());

        let message = peers[0].say(&data);
        let Event::Application(message) = peers[1].receive(&message) else { panic!("no data") };
        let (media_type, content) = peers[1].group.view().open_content(&message.data).unwrap();
        assert_eq!((media_type, &*content), (Some(want), b"hello".as_slice()));
    }
    let error = peers[0].group.view().open_content(b"\xffhello").unwrap_err();
    assert_eq!(error, Error::Malformed(DecodeError::InvalidLengthPrefix));
}

#[test]
fn content_is_as_it_is_where_no_media_types_are_required() {
    let peers = alice_and_bob();
    let view = peers[0].group.view();
    assert_eq!(view.required_media_types().unwrap(), None);
    assert_eq!(view.frame_content(Some(text()), b"hello").unwrap(), b"hello");
    assert_eq!(view.open_content(b"hello").unwrap(), (None, b"hello".as_slice().into()));
}

#[test]
fn a_group_that_requires_no_media_type_in_its_list_is_malformed_to_ask() {
    let types = dictionary(ComponentId::CONTENT_MEDIA_TYPES, &[0]);
    let peers = group(vec![with_components("alice")], vec![types]);
    let field = "MediaTypeList length";
    let error = peers[0].group.view().required_media_types().unwrap_err();
    assert_eq!(error, Error::Malformed(DecodeError::InvalidValue { field, value: 0 }));
}
