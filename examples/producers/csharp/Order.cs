// Has the payment of one order confirmed over HTTP, with .NET's own libraries alone (or Mono's).
//
//   mcs -r:System.Net.Http.dll -r:System.Runtime.Serialization.dll Order.cs   (.NET: in a console project)
//   PAYCONFIRM_URL=http://127.0.0.1:8000 PAYCONFIRM_KEY=… mono Order.exe RECEIPT_ID ORDER_ID AMOUNT
//
// Prints the result document. Ends with 0: confirmed; 3: rejected or voided; 2: refused; 4: no answer, nothing
// known. 1 is what a crash ends with, so it says nothing of the payment.
using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Net.Http;
using System.Net.Http.Headers;
using System.Runtime.Serialization;
using System.Runtime.Serialization.Json;
using System.Text;
using System.Threading.Tasks;

[DataContract]
sealed class OrderDocument
{
    [DataMember(Name = "receipt_id")] public string ReceiptId { get; set; }
    [DataMember(Name = "order_id")] public string OrderId { get; set; }
    [DataMember(Name = "amount")] public long Amount { get; set; }
}

[DataContract]
sealed class Result
{
    [DataMember(Name = "order_id")] public string OrderId { get; set; }
    [DataMember(Name = "amount")] public long Amount { get; set; }
    [DataMember(Name = "state")] public string State { get; set; }
    [DataMember(Name = "final")] public bool Final { get; set; }
}

[DataContract]
sealed class Problem
{
    [DataContract]
    public sealed class Error
    {
        [DataMember(Name = "field")] public string Field { get; set; }
        [DataMember(Name = "message")] public string Message { get; set; }
    }

    [DataMember(Name = "detail")] public string Detail { get; set; }
    [DataMember(Name = "errors")] public List<Error> Errors { get; set; }
}

/// <summary>Sending the same request again wouldn't help; the message says all that is wrong with it.</summary>
sealed class Refused : Exception
{
    public Refused(string message) : base(message) { }
}

static class Order
{
    const int Tries = 30;
    static readonly TimeSpan Pause = TimeSpan.FromSeconds(2);
    static readonly string Confirmations = Environment.GetEnvironmentVariable("PAYCONFIRM_URL") + "/v1/confirmations";
    static readonly HttpClient Client = new HttpClient { Timeout = TimeSpan.FromSeconds(40) };

    static int Main(string[] args)
    {
        var wrong = WrongUse(args);
        if (wrong != null)
        {
            Console.Error.WriteLine("usage: PAYCONFIRM_URL=http://127.0.0.1:8000 PAYCONFIRM_KEY=… "
                + "mono Order.exe RECEIPT_ID ORDER_ID AMOUNT\n" + wrong);
            return 2;
        }
        try
        {
            return Confirm(new OrderDocument { ReceiptId = args[0], OrderId = args[1], Amount = long.Parse(args[2]) })
                .GetAwaiter().GetResult();
        }
        catch (Refused e)
        {
            Console.Error.WriteLine(e.Message);
            return 2;
        }
        catch (TimeoutException e)
        {
            Console.Error.WriteLine(e.Message);
            return 4;
        }
    }

    /// <summary>Says what is missing; null where nothing is.</summary>
    static string WrongUse(string[] args)
    {
        if (args.Length != 3) return "three arguments are needed";
        long amount;
        if (!long.TryParse(args[2], out amount)) return "AMOUNT isn't a whole number of won";
        var url = Environment.GetEnvironmentVariable("PAYCONFIRM_URL") ?? "";
        if (!url.StartsWith("http://", StringComparison.Ordinal) && !url.StartsWith("https://", StringComparison.Ordinal))
            return "PAYCONFIRM_URL is missing or isn't http://…";
        return string.IsNullOrEmpty(Environment.GetEnvironmentVariable("PAYCONFIRM_KEY")) ? "PAYCONFIRM_KEY is missing" : null;
    }

    static async Task<int> Confirm(OrderDocument order)
    {
        Client.DefaultRequestHeaders.Authorization =
            new AuthenticationHeaderValue("Bearer", Environment.GetEnvironmentVariable("PAYCONFIRM_KEY"));
        var document = Write(order);
        var body = await Ask(() => Client.PostAsync(Confirmations,
            new StringContent(document, Encoding.UTF8, "application/json")));
        var result = Read<Result>(body);
        while (!result.Final)
        {
            body = await Ask(() => Client.GetAsync($"{Confirmations}/{order.ReceiptId}?wait=25"));
            result = Read<Result>(body);
        }
        if (result.OrderId != order.OrderId || result.Amount != order.Amount)
            throw new Refused($"not shipped: the receipt belongs to {result.OrderId}, {result.Amount}");
        Console.WriteLine(body);
        return result.State == "confirmed" ? 0 : 3;
    }

    /// <summary>
    /// Asks until the answer means something. After 429, 5xx and no answer at all the same request goes out again: the
    /// same document is the same job, and is never charged twice.
    /// </summary>
    static async Task<string> Ask(Func<Task<HttpResponseMessage>> send)
    {
        for (var tries = 0; tries < Tries; tries++)
        {
            var pause = Pause;
            try
            {
                using (var answer = await send())
                {
                    var body = await answer.Content.ReadAsStringAsync();
                    var status = (int)answer.StatusCode;
                    if (status < 300) return body;
                    if (status != 429 && status < 500) throw new Refused($"{status} {Explain(Read<Problem>(body))}");
                    pause = answer.Headers.RetryAfter?.Delta ?? Pause;
                }
            }
            catch (Exception e) when (e is HttpRequestException || e is IOException || e is TaskCanceledException
                || e is SerializationException)
            {
                Console.Error.WriteLine($"no answer: {e.Message}");
            }
            await Task.Delay(pause);
        }
        throw new TimeoutException(
            "still no answer: send the same order again later, and tell the buyer neither yes nor no");
    }

    static string Explain(Problem problem)
    {
        var errors = (problem.Errors ?? new List<Problem.Error>()).Select(e => $"\n  {e.Field} {e.Message}");
        return problem.Detail + string.Concat(errors);
    }

    static string Write<T>(T value)
    {
        using (var stream = new MemoryStream())
        {
            new DataContractJsonSerializer(typeof(T)).WriteObject(stream, value);
            return Encoding.UTF8.GetString(stream.ToArray());
        }
    }

    static T Read<T>(string json)
    {
        using (var stream = new MemoryStream(Encoding.UTF8.GetBytes(json)))
            return (T)new DataContractJsonSerializer(typeof(T)).ReadObject(stream);
    }
}
