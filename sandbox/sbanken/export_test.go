package sbanken

// Page writes one page of an account's list of the last year, without HTTP.
func Page(s *Simulator, accountID string, index, length int) []byte {
	n, _ := s.world.findAccount(accountID)
	today := s.world.today()
	return s.page(n, false, query{first: today - 366, last: today, index: index, length: length, reservations: true}, today)
}
