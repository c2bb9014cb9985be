//! Things by a number that is never given twice.

/// A map from small numbers, which is a list with gaps.
#[derive(Clone, PartialEq, Debug)]
pub struct Numbered<T>(Vec<Option<T>>);

impl<T> Default for Numbered<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

/// Numbers beyond this are damage: a list would not hold them.
const NUMBER_MAX: u32 = 1 << 24;

impl<T> Numbered<T> {
    pub fn get(&self, number: u32) -> Option<&T> {
        self.0.get(number as usize)?.as_ref()
    }

    pub fn get_mut(&mut self, number: u32) -> Option<&mut T> {
        self.0.get_mut(number as usize)?.as_mut()
    }

    /// The number that the next new thing gets.
    pub fn next_number(&self) -> u32 {
        self.0.len() as u32
    }

    /// Sees to it that no number below is given again.
    pub fn skip_to(&mut self, next: u32) {
        if next > self.next_number() && next < NUMBER_MAX {
            self.0.resize_with(next as usize, || None);
        }
    }

    pub fn insert(&mut self, number: u32, thing: T) {
        self.skip_to(number.saturating_add(1));
        if let Some(place) = self.0.get_mut(number as usize) {
            *place = Some(thing);
        }
    }

    /// Takes a thing away; its number stays given.
    pub fn remove(&mut self, number: u32) -> Option<T> {
        self.0.get_mut(number as usize)?.take()
    }

    pub fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.0.iter().enumerate().filter_map(|(number, thing)| Some((number as u32, thing.as_ref()?)))
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = (u32, &mut T)> {
        self.0.iter_mut().enumerate().filter_map(|(number, thing)| Some((number as u32, thing.as_mut()?)))
    }
}
