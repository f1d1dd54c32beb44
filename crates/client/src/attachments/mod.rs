//! Files in rooms: encrypted under a key of their own, uploaded to the service in parts, and named in a message by their
//! hash, with the key; or fetched from there, checked and decrypted.

mod ask;
mod cipher;
mod gifts;
mod message;
mod record;
mod spool;
mod transfers;
mod work;

pub(crate) use ask::{Ask, AskId};
pub use cipher::{CipherError, FileCipher, FileKey, TAG_LENGTH};
pub(crate) use record::{Record, Sealed, Task, ToGive, ToTake};
pub use transfers::{
    FileToSend, TransferNews, TransferRefusal, TransferReport, TransferSetup, Transfers,
};
