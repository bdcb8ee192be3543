package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// What is written over keeps what it is: links and devices, and who may read it.
func TestWriteWhole_WhatIsThere(t *testing.T) {
	dir := t.TempDir()
	target, link, pipe := filepath.Join(dir, "target"), filepath.Join(dir, "link"), filepath.Join(dir, "pipe")
	if err := errors.Join(os.WriteFile(target, []byte("old"), 0o600), os.Symlink("target", link), syscall.Mkfifo(pipe, 0o644)); err != nil {
		t.Fatal(err)
	}
	if err := writeWhole(link, []byte("new"), 0o644); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(target)
	fi, e := os.Lstat(link)
	if err != nil || e != nil || string(b) != "new" || fi.Mode().Type() != fs.ModeSymlink {
		t.Errorf("%s %v, %v %v", b, err, fi.Mode(), e)
	}
	if fi, err := os.Stat(target); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", fi.Mode(), err)
	}
	read := make(chan string)
	go func() { b, _ := os.ReadFile(pipe); read <- string(b) }()
	if err := writeWhole(pipe, []byte("new"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := <-read; got != "new" {
		t.Errorf("%q came through the pipe", got)
	}
	if fi, err := os.Lstat(pipe); err != nil || fi.Mode().Type() != fs.ModeNamedPipe {
		t.Errorf("%v %v", fi.Mode(), err)
	}
}
