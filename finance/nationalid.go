package finance

// IsNationalID says whether a text is a Norwegian national identity number: eleven digits with both mod-11 control
// digits right. Synthetic numbers, with 40 or 80 added to the month, count too.
//
// There are only some 38 million valid ones, so a text that passes is taken for one and kept out of keys and logs.
func IsNationalID(s string) bool {
	if len(s) != 11 {
		return false
	}
	var d [11]int
	for i := range d {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
		d[i] = int(s[i] - '0')
	}
	month, day := (d[2]*10+d[3])%40, (d[0]*10+d[1])%40 // D-numbers add 40 to the day
	if month < 1 || month > 12 || day < 1 || day > 31 {
		return false
	}
	control := func(weights ...int) bool {
		sum := 0
		for i, w := range weights {
			sum += w * d[i]
		}
		return sum%11 == 0
	}
	return control(3, 7, 6, 1, 8, 9, 4, 5, 2, 1) && control(5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1)
}
