//! The records that the reference defines.

mod builder;
mod extensions;
mod location;
mod meta;
mod minutes;
mod provider;
mod shared;
mod slot;

pub use super::codec::list::List;
pub use builder::PushSlotsBuilder;
pub use extensions::{ExtensionError, Extensions};
pub use location::{Identifier, Location};
pub use meta::{Destination, Log, Meta, Source};
pub use minutes::Minutes;
pub use provider::{Address, PhoneNumber, Provider};
pub use shared::Shared;
pub use slot::Slot;
