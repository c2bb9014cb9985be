//! The language from outside: what is refused, what runs, what templates render.

mod compile;
mod run;
mod template;
