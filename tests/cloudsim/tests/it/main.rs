//! The simulator as its clients see it: through HTTPS, WSS and media, with a raw client that
//! sends exactly what genesys-protocol and the traces of Genesys's own client say.

mod calls;
mod client;
mod connect;
mod control;
mod enforcement;
mod faults;
mod login;
mod peer;
mod rest;
mod several;
