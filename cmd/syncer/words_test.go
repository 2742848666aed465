package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// privateWords each had to be looked up once, and have a plain word: see the table of words in docs/design.md.
var privateWords = []string{
	"house", "shift", "gift", "asking", "virgin", "losers", "lacks", "untold", "bells", "heart", "makeUp", "wayBack", "lastly",
}

// words cuts an identifier where its capitals, digits and underscores are. A capital that a small letter follows begins a word: an
// "A" before it is one of its own.
var words = regexp.MustCompile(`[A-Z][a-z]+|[A-Z]|[a-z]+`)

// private is the private word that an identifier holds as a whole one, or as whole ones next to each other; empty: none.
func private(identifier string) string {
	parts := words.FindAllString(identifier, -1)
	joined := "_" + strings.ToLower(strings.Join(parts, "_")) + "_"
	for _, word := range privateWords {
		cut := strings.ToLower(strings.Join(words.FindAllString(word, -1), "_"))
		if strings.Contains(joined, "_"+cut+"_") {
			return word
		}
	}
	return ""
}

func TestIdentifiersHaveNoPrivateWords(t *testing.T) {
	root := filepath.Join("..", "..")
	read := 0
	told := map[string]bool{} // the names that have been looked at, in whatever file
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		read++
		ast.Inspect(file, func(n ast.Node) bool {
			id, ok := n.(*ast.Ident)
			if !ok || told[id.Name] {
				return true
			}
			told[id.Name] = true
			if word := private(id.Name); word != "" {
				t.Errorf("%s: %s holds the word %s", path, id.Name, word)
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if read < 100 {
		t.Fatalf("%d files were read: the test would prove nothing", read)
	}
}

func TestPrivateWordsAreWholeWords(t *testing.T) {
	for identifier, want := range map[string]string{
		"house": "house", "openHouse": "house", "House2": "house", "heartBeat": "heart", "untold_parks": "untold",
		"TestThatAVirginIs": "virgin", "AHouse": "house", "makeUpFirst": "makeUp", "theWayBack": "wayBack", "MakeUp": "makeUp",
		"heartbeat": "", "makes": "", "giftless": "", "wayBehind": "", "doorbells": "", "lack": "",
	} {
		if got := private(identifier); got != want {
			t.Errorf("%s: %q, want %q", identifier, got, want)
		}
	}
}
