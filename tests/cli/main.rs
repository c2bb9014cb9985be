//! The program from outside: its commands, exit statuses and listeners, as a user and an attacker meet them.

#[cfg(test)]
mod admin;
#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod check;
#[cfg(test)]
mod cloudevents;
#[cfg(test)]
mod demo;
#[cfg(test)]
mod harness;
#[cfg(test)]
mod one_owner;
#[cfg(test)]
mod outages;
#[cfg(test)]
mod queues;
#[cfg(test)]
mod redrive;
#[cfg(test)]
mod secrets;
#[cfg(test)]
mod statuses;
#[cfg(test)]
mod try_message;
