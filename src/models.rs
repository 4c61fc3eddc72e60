//! Source models by name: what the catalogs know, and the folder that keeps the files.
//!
//! ```text
//! name --Store::find--> Known --Store::pull--> file in the folder --Backbone::open--> Backbone
//!                       file of the user's --Store::add--> the same
//! ```
//!
//! The names are those of the built-in [`Catalog`](crate::trunk::Catalog) and of a `catalog.toml` in the folder. Everything
//! but `pull` works without a network, and without the feature `pull` there is no code for one.

mod add;
mod error;
#[cfg(feature = "pull")]
mod pull;
mod store;

pub use add::Added;
pub use error::StoreError;
#[cfg(feature = "pull")]
pub use pull::{PullError, PullOptions, Pulled};
pub use store::{Kind, Known, State, Store};
