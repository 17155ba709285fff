//! The end-to-end suite: the real binary against a real kernel, each test in namespaces of its own.

mod boot;
mod crawl;
mod docs;
mod doctor;
mod echo;
mod harness;
mod hints;
mod house;
mod http;
mod lab;
mod logs;
mod manual;
mod musl;
mod ndp;
mod openwrt;
mod package;
mod proxy;
mod router;
mod router_render;
mod secrets;
mod setup;
mod site;
mod store;
mod tracking;
mod usage;
mod verify;
