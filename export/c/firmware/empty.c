/* A firmware that does nothing: its size is subtracted from that of one with a model. */
int main(void) { return 0; }
