//! Where items come from, and what is sent for each: URL templates, lists, and the request they are put into.

mod foreign_form;
mod frontier;
mod items;
mod line;
mod list;
mod packing;
mod placeholders;
mod request;
mod template;
mod unique;
mod watched;

pub use foreign_form::ForeignForm;
pub use frontier::{Frontier, Total};
pub use items::{Items, ItemsError, PLACEHOLDER};
pub use line::Overrides;
pub use list::{Cursor, LIST_COPY, LONGEST_LINE, List, ListError, ListSource};
pub use packing::Packing;
pub use placeholders::has_placeholders;
pub use request::{
    BodyForm, Field, Login, NOT_STORED, RequestError, RequestSpec, Spelling, USER_AGENT, basic,
    is_secret_header, shown,
};
pub use template::{Template, TemplateError};
