//! The whole way of an order at a real CA, as a load balancer's address and a name server answer the challenges.

mod accounts;
mod ca;
mod challenges;
mod keys;
mod orders;
mod renewals;
mod responder;
