//! Device services: configuration, state store, logs; and the wrapper that keeps private text out of them.
pub mod private;

pub use private::Private;
