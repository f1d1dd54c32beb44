mod model;
mod rules;
mod tracked;
