// A precompiled header needs a target, and a target needs a source: see WeftTargets.cmake.
int main() { return 0; }
