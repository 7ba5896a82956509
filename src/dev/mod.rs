//! What a developer needs on a machine that has nothing set up: a private PostgreSQL server.
//!
//! Nothing in here reads `DATABASE_URL`: a shell that holds the production URL stays harmless.

pub mod postgres;
