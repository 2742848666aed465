package dbnordics

// state is what has happened to a company since the world began.
type state struct {
	petitions int // that came
	settled   int // remarks or incidents that went
	advanced  int // states that the first incident has got
	fate      *string
}

func (s *Simulator) change(i int, f func(*state)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.touched[i]
	f(&st)
	s.touched[i] = st
}
