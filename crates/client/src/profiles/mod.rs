//! What users say of themselves, kept: our user's profile, and those of the people in the user's rooms.

mod book;
mod named;
mod row;

pub use book::{PictureChange, ProfileChange, ProfileNews, ProfileRefusal, ProfileView, Profiles};
