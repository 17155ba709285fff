//! Where items come from, and what is sent for each: URL templates, lists, and the request they are put into.

mod list;
mod places;
mod request;
mod template;
mod work;

pub use list::{Cursor, List, ListError, ListSource, Particulars};
pub use places::has_places;
pub use request::{Login, RequestError, RequestSpec, SECRET_HEADERS, USER_AGENT, basic, shown};
pub use template::{Template, TemplateError};
pub use work::{PLACE, Work, WorkError};
