//! The tests of the crate in one binary, so that a change links once: a module for each subject.
//!
//! `cargo test --test it sends::` runs one of them. Files next to this folder are binaries of their
//! own, for the reason in their first line.

mod any_response;
mod checkpoint;
mod closing_servers;
mod concurrency;
mod connections;
mod correcting;
mod extensions;
mod fault_proxy;
mod faults;
mod formats;
mod gateways;
mod http2;
mod in_flight;
mod invalid_slots;
mod keys;
mod killed;
mod legacy_keys;
mod lifecycle;
mod log;
mod many_customers;
mod message;
mod mock;
mod mock_answers;
mod mock_promises;
mod mock_service;
mod mock_settings;
mod mock_tokens;
mod odd_data;
mod oidc_provider;
mod page;
mod patience;
mod preparing;
mod problems;
mod properties;
mod publish;
mod publish_file;
mod push_file;
mod rate_limiter;
mod reading;
mod rejected_tokens;
mod resuming;
mod retries;
mod routes;
mod sends;
mod services;
mod settings;
mod shared_transport;
mod sharing;
mod signers;
mod slot_reader;
mod slow_lines;
mod sources;
mod spans;
mod splitting;
mod stored_records;
mod token_answers;
mod token_sharing;
mod tokens;
mod validation;
mod validation_policies;
mod verdicts;
#[cfg(target_os = "linux")]
mod wiping;
